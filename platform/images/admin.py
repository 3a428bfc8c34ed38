from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from images.models import Picture


@admin.register(Picture)
class PictureAdmin(admin.ModelAdmin[Picture]):
    """To look at: a picture is deleted on its own page, which removes its files too."""

    list_display = ("name", "uploader", "state", "format", "width", "height", "byte_size", "created_at")
    list_filter = ("state", "format")
    list_select_related = ("uploader",)
    search_fields = ("name", "key", "request_id")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
