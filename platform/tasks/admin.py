from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from tasks.models import TaskRun


@admin.register(TaskRun)
class TaskRunAdmin(admin.ModelAdmin[TaskRun]):
    """To look at: what a task does is decided by Celery alone."""

    list_display = ("name", "state", "queue", "attempts", "enqueued_at", "actor_label", "request_id")
    list_filter = ("state", "name", "queue")
    search_fields = ("id", "request_id", "trace_id", "actor_label")
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
