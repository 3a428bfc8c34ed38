from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from notifications.models import Mail, Notification, Preference


class ToLookAt(admin.ModelAdmin[Any]):
    """These come of what people do and choose themselves."""

    list_select_related = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Notification)
class NotificationAdmin(ToLookAt):
    list_display = ("title", "recipient", "kind", "created_at", "read_at")
    list_filter = ("kind",)


@admin.register(Mail)
class MailAdmin(ToLookAt):
    list_display = ("id", "recipient", "kind", "state", "created_at", "sent_at", "request_id")
    list_filter = ("kind", "state")


@admin.register(Preference)
class PreferenceAdmin(ToLookAt):
    list_display = ("user", "kind", "page", "email", "digest")
    list_filter = ("kind",)
