from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from chat import actions
from chat.models import Report, Restriction, Room


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin[Room]):
    """Rooms are opened and described here."""

    list_display = ("name", "slug", "topic", "kind", "last_sequence", "created_at")
    list_filter = ("kind",)
    readonly_fields = ("created_at",)
    prepopulated_fields = {"slug": ("name",)}

    def save_model(self, request: HttpRequest, obj: Room, form: ModelForm[Room], change: bool) -> None:
        """Save a room, and let its open pages know."""
        super().save_model(request, obj, form, change)
        if change:
            actions.tell_room_changed(obj)


class _ToBeRead(admin.ModelAdmin[Any]):
    """What the moderators' own pages and the API change; here it's only looked at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Report)
class ReportAdmin(_ToBeRead):
    """What was reported, and what came of it."""

    list_display = ("message", "reporter", "reason", "state", "resolved_by", "created_at")
    list_filter = ("state",)


@admin.register(Restriction)
class RestrictionAdmin(_ToBeRead):
    """Mutes and bans."""

    list_display = ("user", "kind", "room", "reason", "imposed_by", "created_at", "expires_at", "lifted_at")
    list_filter = ("kind",)
