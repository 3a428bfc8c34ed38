"""The API of the chat."""

from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from chat import actions, queries
from chat.errors import InvalidMessageError
from chat.models import Message, Room


class RoomSerializer(serializers.ModelSerializer[Room]):
    class Meta:
        model = Room
        fields: ClassVar[list[str]] = ["slug", "name", "topic", "created_at", "last_sequence"]


class AuthorSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()


class MessageSerializer(serializers.ModelSerializer[Message]):
    author = AuthorSerializer()

    class Meta:
        model = Message
        fields: ClassVar[list[str]] = ["id", "sequence", "author", "body", "client_id", "created_at"]


class MessagePageSerializer(serializers.Serializer[Any]):
    results = MessageSerializer(many=True)
    last_sequence = serializers.IntegerField(help_text="The room's; fetch again after your last until you have it.")


class NewMessageSerializer(serializers.Serializer[Any]):
    body = serializers.CharField(max_length=actions.LONGEST_BODY, trim_whitespace=False)
    client_id = serializers.UUIDField(required=False, allow_null=True)


@extend_schema(tags=["chat"])
class RoomList(generics.ListAPIView[Room]):
    """The rooms that you may enter."""

    serializer_class = RoomSerializer
    queryset = Room.objects.none()
    pagination_class = None

    def get_queryset(self) -> QuerySet[Room]:
        return queries.rooms_visible_to(self.request.user)


class RoomMessages(APIView):
    """A room's messages, by number."""

    @extend_schema(
        tags=["chat"],
        parameters=[
            OpenApiParameter("after", OpenApiTypes.INT, description="The last number that you have; 0 for all."),
            OpenApiParameter("limit", OpenApiTypes.INT, description=f"At most {queries.LARGEST_PAGE}."),
        ],
        responses=MessagePageSerializer,
    )
    def get(self, request: Request, slug: str) -> Response:
        """Return the messages that follow `after`; without it, the last ones."""
        room = self._room(request, slug)
        limit = _number(request, "limit", queries.LARGEST_PAGE)
        after = _number(request, "after", queries.LARGEST_SEQUENCE)
        if after is None:
            messages = queries.messages_before(room, limit=limit or queries.PAGE_SIZE)
        else:
            messages = queries.messages_after(room, after, limit or queries.PAGE_SIZE)
        # Read before the messages were, so what was sent in between isn't counted as told.
        page = {"results": messages, "last_sequence": room.last_sequence}
        return Response(MessagePageSerializer(page).data)

    @extend_schema(
        tags=["chat"], request=NewMessageSerializer, responses={201: MessageSerializer, 200: MessageSerializer}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Send a message: 201, or 200 with the message that is there already for the same `client_id`."""
        room = self._room(request, slug)
        data = NewMessageSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        try:
            message = actions.send_message(
                room,
                actor=cast(User, request.user),
                body=data.validated_data["body"],
                client_id=data.validated_data.get("client_id"),
            )
        except InvalidMessageError as error:
            raise ValidationError({"body": [str(error)]}) from None
        is_new = message.sequence > room.last_sequence
        return Response(
            MessageSerializer(message).data, status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        )

    def _room(self, request: Request, slug: str) -> Room:
        room = queries.room_visible_to(request.user, slug)
        if room is None:
            raise NotFound("There is no such room.")
        return room


def _number(request: Request, name: str, largest: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > largest:
        raise ValidationError({name: [f"Give a whole number from 0 to {largest}."]})
    return int(text)


api_urlpatterns = [
    path("rooms/", RoomList.as_view(), name="chat-room-list"),
    path("rooms/<slug:slug>/messages/", RoomMessages.as_view(), name="chat-message-list"),
]
