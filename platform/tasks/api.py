"""The API of background tasks: to read."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.views import APIView

from tasks.models import State, TaskRun
from tasks.queries import run_visible_to, runs_visible_to


class TaskRunSerializer(serializers.ModelSerializer[TaskRun]):
    queue_wait_seconds = serializers.FloatField(read_only=True, allow_null=True)
    run_seconds = serializers.FloatField(read_only=True, allow_null=True)

    class Meta:
        model = TaskRun
        fields: ClassVar[list[str]] = [
            "id",
            "name",
            "queue",
            "state",
            "arguments",
            "attempts",
            "enqueued_at",
            "eta",
            "sent_at",
            "started_at",
            "finished_at",
            "queue_wait_seconds",
            "run_seconds",
            "error",
            "worker",
            "request_id",
            "trace_id",
            "actor_type",
            "actor_id",
            "actor_label",
            "parent_task_id",
        ]


class Filters(serializers.Serializer[Any]):
    state = serializers.ChoiceField(State.choices, required=False)
    name = serializers.CharField(max_length=200, required=False, help_text="The task's name, exactly.")
    request_id = serializers.CharField(max_length=64, required=False, help_text="What asked for the tasks.")


class NewestFirst(BaseFilterBackend):
    """Tells the pagination by cursor to go by time: Celery's own ids have no order."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        return queryset

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> tuple[str, ...]:
        return ("-enqueued_at", "-id")


@extend_schema(
    tags=["tasks"],
    parameters=[Filters],
)
class TaskRunList(generics.ListAPIView[TaskRun]):
    """Your own runs; all of them with the permission `tasks.view_taskrun`."""

    serializer_class = TaskRunSerializer
    queryset = TaskRun.objects.none()
    filter_backends = (NewestFirst,)

    def get_queryset(self) -> QuerySet[TaskRun]:
        filters = Filters(data=self.request.query_params)
        filters.is_valid(raise_exception=True)
        return runs_visible_to(self.request.user).filter(**filters.validated_data).defer("message", "carrier")


@extend_schema(tags=["tasks"])
class TaskRunDetail(generics.RetrieveAPIView[TaskRun]):
    """One run; that of someone else is not found."""

    serializer_class = TaskRunSerializer
    queryset = TaskRun.objects.none()

    def get_object(self) -> TaskRun:
        run = run_visible_to(self.request.user, self.kwargs["run_id"])
        if run is None:
            raise NotFound("There is no such task run, or it isn't yours to see.")
        return run


api_urlpatterns = [
    path("runs/", TaskRunList.as_view(), name="task-run-list"),
    path("runs/<uuid:run_id>/", TaskRunDetail.as_view(), name="task-run-detail"),
]
