"""The API of keeping order: reports, mutes and bans."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

import audit
from chat import actions, queries
from chat.api.base import ChatView, told_to_client
from chat.api.serializers import (
    MessageReportSerializer,
    NewRestrictionSerializer,
    ReportFilters,
    ReportReasonSerializer,
    RestrictionSerializer,
    VerdictSerializer,
)
from chat.models import Report, Restriction

_MOST = 100
_BEFORE = OpenApiParameter("before", OpenApiTypes.INT, description="The id of the last one that you have.")


class MessageReport(ChatView):
    """Asks the moderators to look at a message."""

    @extend_schema(tags=["chat"], request=ReportReasonSerializer, responses={201: MessageReportSerializer})
    def post(self, request: Request, slug: str, message_id: int) -> Response:
        """Report a message; twice is once."""
        _, message = self.message(slug, message_id)
        reason = self.valid(ReportReasonSerializer)["reason"]
        with told_to_client():
            report = actions.report_message(message, actor=self.member, reason=reason)
        return Response(MessageReportSerializer(report).data, status=status.HTTP_201_CREATED)


class ReportList(ChatView):
    """What was reported."""

    @extend_schema(
        tags=["chat"],
        parameters=[ReportFilters, _BEFORE],
        responses=MessageReportSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Return reports, newest first, to those who moderate."""
        reports = queries.reports_visible_to(request.user).filter(**self.asked(ReportFilters))
        if (before := self.number("before")) is not None:
            reports = reports.filter(pk__lt=before)
        return Response(MessageReportSerializer(reports[:_MOST], many=True).data)


class ReportResolve(ChatView):
    """Answers a report."""

    @extend_schema(tags=["chat"], request=VerdictSerializer, responses=MessageReportSerializer)
    def post(self, request: Request, report_id: int) -> Response:
        """Dismiss a report, or delete its message; and mute or ban its author in the room."""
        report = queries.reports_visible_to(request.user).filter(pk=report_id).first()
        if report is None:
            if Report.objects.filter(pk=report_id).exists():
                audit.record("chat.report.resolved", target=("chat.report", str(report_id)), outcome="denied")
            raise NotFound("There is no such report.")
        values = self.valid(VerdictSerializer)
        with told_to_client():
            report = actions.resolve_report(report, actor=self.member, verdict=values.pop("action"), **values)
        return Response(MessageReportSerializer(report).data)


class RestrictionList(ChatView):
    """Mutes and bans."""

    @extend_schema(
        tags=["chat"],
        parameters=[OpenApiParameter("room", OpenApiTypes.STR, description="Those of one room."), _BEFORE],
        responses=RestrictionSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Return mutes and bans, newest first, to those who moderate there."""
        slug = request.query_params.get("room")
        found = queries.restrictions_visible_to(self.access(slug) if slug else None, request.user)
        if (before := self.number("before")) is not None:
            found = found.filter(pk__lt=before)
        return Response(RestrictionSerializer(found[:_MOST], many=True).data)

    @extend_schema(tags=["chat"], request=NewRestrictionSerializer, responses={201: RestrictionSerializer})
    def post(self, request: Request) -> Response:
        """Mute or ban somebody in a room, or in all."""
        values = self.valid(NewRestrictionSerializer)
        slug = values.pop("room", None)
        room = self.access(slug).room if slug else None
        user = self.person(values.pop("username"))
        with told_to_client():
            made = actions.restrict(user, room=room, actor=self.member, **values)
        made.refresh_from_db()
        return Response(RestrictionSerializer(made).data, status=status.HTTP_201_CREATED)


class RestrictionDetail(ChatView):
    """One mute or ban."""

    @extend_schema(tags=["chat"], responses={204: None})
    def delete(self, request: Request, restriction_id: int) -> Response:
        """End a mute or ban before its time."""
        found = Restriction.objects.select_related("room").filter(pk=restriction_id).first()
        if found is None:
            raise NotFound("There is no such mute or ban.")
        with told_to_client():
            actions.lift(found, actor=self.member)
        return Response(status=status.HTTP_204_NO_CONTENT)
