from django.contrib import admin

from chat.models import Room


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin[Room]):
    """Rooms are opened and described here."""

    list_display = ("name", "slug", "topic", "kind", "last_sequence", "created_at")
    prepopulated_fields = {"slug": ("name",)}
