"""The API of notifications: one's own."""

from typing import ClassVar, cast

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from notifications import actions, queries
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


@extend_schema(tags=["notifications"])
class NotificationList(generics.ListAPIView[Notification]):
    """What you were told, newest first."""

    serializer_class = NotificationSerializer
    queryset = Notification.objects.none()

    def get_queryset(self) -> QuerySet[Notification]:
        return queries.notifications_of(self.request.user)


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
        user = cast(User, request.user)  # the permission classes saw to it
        actions.mark_all_read(user, actor=user)
        return Response({"unread": queries.unread_count(user)})


api_urlpatterns = [
    path("", NotificationList.as_view(), name="notification-list"),
    path("<int:notification_id>/read/", NotificationRead.as_view(), name="notification-read"),
    path("read-all/", NotificationReadAll.as_view(), name="notification-read-all"),
]
