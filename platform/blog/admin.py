"""Posts and comments in the admin: to look at. They are written where rules and rendering apply."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from blog.models import Category, Comment, Image, OldAddress, Post, Report, Subscription, Tag


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Shows rows without a way to change them."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin[Category]):
    """The one thing here that people look after: no rule hangs on it, and nothing is derived from it."""

    list_display = ("name", "slug", "description")
    search_fields = ("name",)
    prepopulated_fields: ClassVar = {"slug": ("name",)}


@admin.register(Tag)
class TagAdmin(ReadOnlyAdmin):
    list_display = ("name", "slug")
    search_fields = ("name", "slug")
    ordering = ("name",)


@admin.register(OldAddress)
class OldAddressAdmin(ReadOnlyAdmin):
    list_display = ("path", "post", "created_at")
    list_select_related = ("post",)
    search_fields = ("path",)
    ordering = ("-id",)


@admin.register(Post)
class PostAdmin(ReadOnlyAdmin):
    list_display = ("title", "author", "category", "status", "published_at", "publish_at", "updated_at")
    list_filter = ("status", "category")
    list_select_related = ("author", "category")
    search_fields = ("title", "slug")
    ordering = ("-id",)


@admin.register(Image)
class ImageAdmin(ReadOnlyAdmin):
    list_display = ("name", "post", "width", "height")
    list_select_related = ("post",)
    ordering = ("-id",)


@admin.register(Comment)
class CommentAdmin(ReadOnlyAdmin):
    list_display = ("id", "post", "author", "state", "created_at")
    list_filter = ("state",)
    list_select_related = ("post", "author")
    ordering = ("-id",)


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    list_display = ("id", "comment", "reporter", "reason", "created_at", "decision", "decided_by")
    list_filter = ("reason", "decision")
    list_select_related = ("comment", "reporter", "decided_by")
    ordering = ("-id",)


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    list_display = ("id", "user", "author", "category", "post", "created_at")
    list_select_related = ("user", "author", "category", "post")
    ordering = ("-id",)
