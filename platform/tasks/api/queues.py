"""Queues by the API: how they stand, and the switch to pause one."""

from collections.abc import Callable

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tasks import rules
from tasks.actions import operating
from tasks.api.base import member, reason_of, told_to_client
from tasks.api.serializers import QueueSerializer, ReasonInput
from tasks.models import Queue
from tasks.queues import known_queues, queue_standings


class QueueList(APIView):
    """How each queue stands, for those who may see all runs."""

    @extend_schema(tags=["tasks"], operation_id="tasks_queues_list", responses=QueueSerializer(many=True))
    def get(self, request: Request) -> Response:
        with told_to_client():
            rules.require(rules.can_see_all_runs, member(request), None, action="view_queues")
            return Response(QueueSerializer(queue_standings(), many=True).data)


class QueuePause(APIView):
    """Let no further task of a queue begin."""

    @extend_schema(tags=["tasks"], request=ReasonInput, responses=QueueSerializer)
    def post(self, request: Request, name: str) -> Response:
        return _operated(request, name, operating.pause_queue)


class QueueResume(APIView):
    """Let a paused queue go on."""

    @extend_schema(tags=["tasks"], request=ReasonInput, responses=QueueSerializer)
    def post(self, request: Request, name: str) -> Response:
        return _operated(request, name, operating.resume_queue)


def _operated(request: Request, name: str, action: Callable[..., Queue]) -> Response:
    with told_to_client():
        rules.require(rules.can_change_queues, member(request), None, action=action.__name__)
        if name not in known_queues():
            raise NotFound(f"There is no queue {name!r}.")
        action(name, actor=member(request), reason=reason_of(request))
        (standing,) = [one for one in queue_standings() if one.name == name]
    return Response(QueueSerializer(standing).data)
