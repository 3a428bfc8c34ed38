"""Task runs by the API: to read, to retry, to cancel."""

import uuid
from collections.abc import Callable

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tasks.actions import operating
from tasks.api.base import FILTER_PARAMETERS, NewestFirst, member, narrowing_of, reason_of, told_to_client
from tasks.api.serializers import (
    ReasonInput,
    RetriedSerializer,
    RetryManyInput,
    TaskRunDetailSerializer,
    TaskRunSerializer,
)
from tasks.listing import LONGEST_SECONDS
from tasks.models import TaskRun
from tasks.queries import bounded, run_visible_to, runs_visible_to


def visible_run(request: Request, run_id: uuid.UUID) -> TaskRun:
    """Return the run, or answer 404: to others it doesn't exist."""
    run = run_visible_to(request.user, run_id)
    if run is None:
        raise NotFound("There is no such task run, or it isn't yours to see.")
    return run


@extend_schema(tags=["tasks"], parameters=FILTER_PARAMETERS)
class TaskRunList(generics.ListAPIView[TaskRun]):
    """Your own runs; all of them with the permission `tasks.view_taskrun`."""

    serializer_class = TaskRunSerializer
    queryset = TaskRun.objects.none()
    filter_backends = (NewestFirst,)

    def get_queryset(self) -> QuerySet[TaskRun]:
        narrowing = narrowing_of(self.request.query_params)
        return narrowing.of(runs_visible_to(self.request.user)).defer("message", "carrier", "result")

    def list(self, request: Request) -> Response:
        with told_to_client(), bounded(LONGEST_SECONDS):
            return super().list(request)


@extend_schema(tags=["tasks"])
class TaskRunDetail(generics.RetrieveAPIView[TaskRun]):
    """One run with its attempts; that of someone else is not found."""

    serializer_class = TaskRunDetailSerializer
    queryset = TaskRun.objects.none()

    def get_object(self) -> TaskRun:
        return visible_run(self.request, self.kwargs["run_id"])


class TaskRunRetry(APIView):
    """Run a dead or cancelled task again."""

    @extend_schema(tags=["tasks"], request=ReasonInput, responses=TaskRunDetailSerializer)
    def post(self, request: Request, run_id: uuid.UUID) -> Response:
        return _operated(request, run_id, operating.retry_run)


class TaskRunCancel(APIView):
    """Cancel a run; one that a worker has stops when it next tells of its progress."""

    @extend_schema(tags=["tasks"], request=ReasonInput, responses=TaskRunDetailSerializer)
    def post(self, request: Request, run_id: uuid.UUID) -> Response:
        return _operated(request, run_id, operating.cancel_run)


class TaskRunRetryMany(APIView):
    """Retry the dead runs that the filters name; with none of them, all that are dead."""

    @extend_schema(
        tags=["tasks"], operation_id="tasks_runs_retry_many", request=RetryManyInput, responses=RetriedSerializer
    )
    def post(self, request: Request) -> Response:
        given = RetryManyInput(data=request.data)
        given.is_valid(raise_exception=True)
        runs = narrowing_of(given.validated_data).of(runs_visible_to(request.user))
        with told_to_client():
            count = operating.retry_runs(runs, actor=member(request), reason=reason_of(request))
        return Response({"retried": count})


def _operated(request: Request, run_id: uuid.UUID, action: Callable[..., TaskRun]) -> Response:
    run = visible_run(request, run_id)
    with told_to_client():
        run = action(run, actor=member(request), reason=reason_of(request))
    return Response(TaskRunDetailSerializer(run).data)
