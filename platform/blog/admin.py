"""Posts and comments in the admin: to look at. They are written where rules and rendering apply."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from blog.models import Comment, Image, Post


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Shows rows without a way to change them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(Post)
class PostAdmin(ReadOnlyAdmin):
    list_display = ("title", "author", "status", "published_at", "publish_at", "updated_at")
    list_filter = ("status",)
    list_select_related = ("author",)
    search_fields = ("title", "slug")
    ordering = ("-id",)


@admin.register(Image)
class ImageAdmin(ReadOnlyAdmin):
    list_display = ("name", "post", "width", "height")
    list_select_related = ("post",)
    ordering = ("-id",)


@admin.register(Comment)
class CommentAdmin(ReadOnlyAdmin):
    list_display = ("id", "post", "author", "created_at")
    list_select_related = ("post", "author")
    ordering = ("-id",)
