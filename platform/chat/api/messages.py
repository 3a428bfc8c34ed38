"""The API of messages."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from chat import actions, queries, showing
from chat.api.base import ChatView, told_to_client
from chat.api.serializers import (
    EMOJI_HELP,
    FoundMessageSerializer,
    MessageChangeSerializer,
    MessagePageSerializer,
    MessageSerializer,
    NewMessageSerializer,
    VersionSerializer,
)
from chat.history import versions_of
from chat.models import Message
from chat.rules import require

_LONGEST_SEARCH = 200
_EMOJI = OpenApiParameter("emoji", OpenApiTypes.STR, OpenApiParameter.PATH, description=EMOJI_HELP)


class MessageList(ChatView):
    """A room's messages, by number."""

    @extend_schema(
        operation_id="chat_rooms_messages_list",
        tags=["chat"],
        parameters=[
            OpenApiParameter("after", OpenApiTypes.INT, description="Those that follow a number; 0 for the first."),
            OpenApiParameter("before", OpenApiTypes.INT, description="Those ahead of a number."),
            OpenApiParameter("limit", OpenApiTypes.INT, description=f"At most {queries.LARGEST_PAGE}."),
        ],
        responses=MessagePageSerializer,
    )
    def get(self, request: Request, slug: str) -> Response:
        """Return messages in their order: the last ones, those ahead of `before`, or those that follow `after`."""
        room = self.access(slug).room
        limit = self.number("limit", queries.LARGEST_PAGE) or queries.PAGE_SIZE
        after = self.number("after")
        if after is None:
            messages = queries.messages_before(room, self.number("before"), limit)
        else:
            messages = queries.messages_after(room, after, limit)
        # Read before the messages were, so what happened in between is told as an event as well.
        return Response({"results": [showing.message(one) for one in messages], "last_sequence": room.last_sequence})

    @extend_schema(
        tags=["chat"], request=NewMessageSerializer, responses={201: MessageSerializer, 200: MessageSerializer}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Send a message: 201, or 200 with the message that is there already for the same `client_id`."""
        room = self.access(slug).room
        before = room.last_sequence
        values = self.valid(NewMessageSerializer)
        with told_to_client():
            message = actions.send_message(room, actor=self.member, **values)
        is_new = message.sequence > before
        return Response(showing.message(message), status=status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class MessageDetail(ChatView):
    """One message."""

    @extend_schema(tags=["chat"], responses=MessageSerializer)
    def get(self, request: Request, slug: str, message_id: int) -> Response:
        """Return a message."""
        return Response(showing.message(self.message(slug, message_id)[1]))

    @extend_schema(tags=["chat"], request=MessageChangeSerializer, responses=MessageSerializer)
    def patch(self, request: Request, slug: str, message_id: int) -> Response:
        """Change the words of your own message, within an hour."""
        _, message = self.message(slug, message_id)
        body = self.valid(MessageChangeSerializer)["body"]
        with told_to_client():
            return Response(_anew(actions.edit_message(message, actor=self.member, body=body)))

    @extend_schema(tags=["chat"], responses={200: MessageSerializer})
    def delete(self, request: Request, slug: str, message_id: int) -> Response:
        """Delete a message: its place stays."""
        _, message = self.message(slug, message_id)
        with told_to_client():
            return Response(_anew(actions.delete_message(message, actor=self.member)))


class MessageHistory(ChatView):
    """What a message said before."""

    @extend_schema(tags=["chat"], responses=VersionSerializer(many=True))
    def get(self, request: Request, slug: str, message_id: int) -> Response:
        """Return what the ledger holds of a message's words, newest first: for its author and moderators."""
        access, message = self.message(slug, message_id)
        with told_to_client():
            require(access.can_see_history(message), message, action="see_history")
        return Response(versions_of(message))


class MessageReaction(ChatView):
    """What you answer to a message with a sign."""

    @extend_schema(tags=["chat"], parameters=[_EMOJI], request=None, responses=MessageSerializer)
    def put(self, request: Request, slug: str, message_id: int, emoji: str) -> Response:
        """Answer with a sign."""
        return self._react(slug, message_id, emoji, is_on=True)

    @extend_schema(tags=["chat"], parameters=[_EMOJI], responses={200: MessageSerializer})
    def delete(self, request: Request, slug: str, message_id: int, emoji: str) -> Response:
        """Take a sign back."""
        return self._react(slug, message_id, emoji, is_on=False)

    def _react(self, slug: str, message_id: int, emoji: str, *, is_on: bool) -> Response:
        _, message = self.message(slug, message_id)
        with told_to_client():
            return Response(_anew(actions.react(message, actor=self.member, emoji=emoji, is_on=is_on)))


class MessagePin(ChatView):
    """Whether a message is pinned to its room."""

    @extend_schema(tags=["chat"], request=None, responses=MessageSerializer)
    def put(self, request: Request, slug: str, message_id: int) -> Response:
        """Pin a message."""
        return self._pin(slug, message_id, is_on=True)

    @extend_schema(tags=["chat"], responses={200: MessageSerializer})
    def delete(self, request: Request, slug: str, message_id: int) -> Response:
        """Take a pin away."""
        return self._pin(slug, message_id, is_on=False)

    def _pin(self, slug: str, message_id: int, *, is_on: bool) -> Response:
        _, message = self.message(slug, message_id)
        with told_to_client():
            return Response(_anew(actions.pin(message, actor=self.member, is_on=is_on)))


class Search(ChatView):
    """Messages that hold words."""

    @extend_schema(
        tags=["chat"],
        parameters=[
            OpenApiParameter("q", OpenApiTypes.STR, required=True, description='Words; `"a phrase"`, `or`, `-not`.'),
            OpenApiParameter("room", OpenApiTypes.STR, description="The slug of one room."),
            OpenApiParameter("before", OpenApiTypes.INT, description="The id of the last message that you have."),
            OpenApiParameter("limit", OpenApiTypes.INT, description=f"At most {queries.LARGEST_PAGE}."),
        ],
        responses=FoundMessageSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """Return the newest messages that hold all the words, in rooms that you may enter."""
        words = request.query_params.get("q", "").strip()
        if not words or len(words) > _LONGEST_SEARCH or "\x00" in words:
            raise ValidationError({"q": [f"Give 1 to {_LONGEST_SEARCH} characters to look for."]})
        slug = request.query_params.get("room")
        found = queries.search_messages(
            request.user,
            words,
            room=self.access(slug).room if slug else None,
            before=self.number("before"),
            limit=self.number("limit", queries.LARGEST_PAGE) or queries.PAGE_SIZE,
        )
        return Response([{**showing.message(one), "room": one.room.slug} for one in found])


def _anew(message: Message) -> dict[str, Any]:
    """Show a message as it's after a change."""
    again = queries.message_in(message.room, message.pk)
    return showing.message(again or message)
