"""The API of notifications: one's own, and how one wants to be told."""

from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from notifications import actions, queries
from notifications.errors import UnknownKindError
from notifications.kinds import DIGESTS, KINDS, Channels, kind_named
from notifications.models import Notification


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    title = serializers.CharField(source="headline", read_only=True)

    class Meta:
        model = Notification
        fields: ClassVar[list[str]] = [
            "id",
            "kind",
            "title",
            "body",
            "url",
            "count",
            "created_at",
            "latest_at",
            "read_at",
            "request_id",
        ]


class UnreadSerializer(serializers.Serializer[dict[str, int]]):
    unread = serializers.IntegerField()


class Filters(serializers.Serializer[Any]):
    unread = serializers.BooleanField(required=False, allow_null=True, default=None, help_text="Unread or read alone.")
    kind = serializers.ChoiceField(list(KINDS), required=False)


class LatestFirst(BaseFilterBackend):
    """Tells the pagination by cursor to go by what came last."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        return queryset

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> tuple[str, ...]:
        return ("-latest_at", "-id")


@extend_schema(tags=["notifications"], parameters=[Filters])
class NotificationList(generics.ListAPIView[Notification]):
    """What you were told, what came last first; one with a `count` stands for so many."""

    serializer_class = NotificationSerializer
    queryset = Notification.objects.none()
    filter_backends = (LatestFirst,)

    def get_queryset(self) -> QuerySet[Notification]:
        filters = Filters(data=self.request.query_params)
        filters.is_valid(raise_exception=True)
        wanted = dict(filters.validated_data)
        is_unread = wanted.pop("unread")
        found = queries.notifications_of(self.request.user).filter(**wanted)
        return found if is_unread is None else found.filter(read_at__isnull=is_unread)


class NotificationRead(APIView):
    """Mark one of your notifications as read."""

    @extend_schema(tags=["notifications"], request=None, responses=UnreadSerializer)
    def post(self, request: Request, notification_id: int) -> Response:
        notification = queries.notification_of(request.user, notification_id)
        if notification is None:
            raise NotFound("You have no such notification.")
        actions.mark_read(notification, actor=notification.recipient)
        return Response({"unread": queries.unread_count(request.user)})


class NotificationReadAll(APIView):
    """Mark all of your notifications as read."""

    @extend_schema(tags=["notifications"], request=None, responses=UnreadSerializer)
    def post(self, request: Request) -> Response:
        user = _user(request)
        actions.mark_all_read(user, actor=user)
        return Response({"unread": queries.unread_count(user)})


class ChannelsSerializer(serializers.Serializer[Any]):
    page = serializers.BooleanField(help_text="On the site's pages.")
    email = serializers.BooleanField(help_text="By e-mail, a few minutes later, unless read by then.")
    digest = serializers.ChoiceField(DIGESTS, help_text="In a digest by e-mail, unless read or mailed by then.")


class PreferenceSerializer(ChannelsSerializer):
    kind = serializers.ChoiceField(list(KINDS), read_only=True)
    label = serializers.CharField(read_only=True)  # type: ignore[assignment]


class PreferenceList(APIView):
    """How you are told, for each kind."""

    @extend_schema(
        tags=["notifications"],
        operation_id="notification_preferences_list",
        responses=PreferenceSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        return Response([_told(kind, channels) for kind, channels in queries.channels_of(_user(request)).items()])


class PreferenceDetail(APIView):
    """How you are told of one kind."""

    @extend_schema(tags=["notifications"], responses=PreferenceSerializer)
    def get(self, request: Request, kind: str) -> Response:
        return Response(_told(kind, _channels(request, kind)))

    @extend_schema(tags=["notifications"], request=ChannelsSerializer(partial=True), responses=PreferenceSerializer)
    def patch(self, request: Request, kind: str) -> Response:
        before = _channels(request, kind)
        given = ChannelsSerializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        chosen = Channels(
            **{"page": before.page, "email": before.email, "digest": before.digest, **given.validated_data}
        )
        actions.choose_channels(_user(request), {kind: chosen}, actor=_user(request))
        return Response(_told(kind, chosen))


def _user(request: Request) -> User:
    return cast(User, request.user)  # the permission classes saw to it


def _channels(request: Request, kind: str) -> Channels:
    try:
        return queries.channels_for(_user(request), kind)
    except UnknownKindError as error:
        raise NotFound(str(error)) from error


def _told(kind: str, channels: Channels) -> dict[str, Any]:
    return {
        "kind": kind,
        "label": kind_named(kind).label,
        "page": channels.page,
        "email": channels.email,
        "digest": channels.digest,
    }


api_urlpatterns = [
    path("", NotificationList.as_view(), name="notification-list"),
    path("<int:notification_id>/read/", NotificationRead.as_view(), name="notification-read"),
    path("read-all/", NotificationReadAll.as_view(), name="notification-read-all"),
    path("preferences/", PreferenceList.as_view(), name="notification-preference-list"),
    path("preferences/<str:kind>/", PreferenceDetail.as_view(), name="notification-preference-detail"),
]
