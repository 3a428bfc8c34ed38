"""The API of rooms, and of how far one has read in them."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from chat import actions, metrics, presence, queries, replay, showing
from chat.api.base import ChatView, told_to_client
from chat.api.serializers import (
    EventPageSerializer,
    MessageSerializer,
    NewRoomSerializer,
    PresenceSerializer,
    ReadSerializer,
    RoomChangeSerializer,
    RoomDetailSerializer,
    RoomFilters,
    RoomSerializer,
    RoomUnreadSerializer,
    UsernameSerializer,
)
from chat.models import Room
from chat.rules import Access
from chat.watching import MOST_NAMES


class RoomList(ChatView):
    """The rooms that you may enter."""

    @extend_schema(
        tags=["chat"],
        parameters=[RoomFilters],
        responses=RoomSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List the rooms that you may enter."""
        filters = self.asked(RoomFilters)
        rooms = queries.rooms_visible_to(request.user)
        if not filters["archived"]:
            rooms = rooms.filter(archived_at=None)
        if "kind" in filters:
            rooms = rooms.filter(kind=filters["kind"])
        return Response(RoomSerializer(rooms, many=True).data)

    @extend_schema(tags=["chat"], request=NewRoomSerializer, responses={201: RoomDetailSerializer})
    def post(self, request: Request) -> Response:
        """Open a room, which you own."""
        values = self.valid(NewRoomSerializer)
        with told_to_client():
            room = actions.create_room(actor=self.member, **values)
        return Response(_detail(self.access(room.slug)), status=status.HTTP_201_CREATED)


class DirectRoom(ChatView):
    """A conversation of two."""

    @extend_schema(tags=["chat"], request=UsernameSerializer, responses=RoomDetailSerializer)
    def post(self, request: Request) -> Response:
        """Return your conversation with somebody, opened where there was none."""
        other = self.person(self.valid(UsernameSerializer)["username"])
        with told_to_client():
            room = actions.open_direct(other, actor=self.member)
        return Response(_detail(self.access(room.slug)))


class RoomDetail(ChatView):
    """One room."""

    @extend_schema(tags=["chat"], responses=RoomDetailSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """Return a room, and what you may do there."""
        return Response(_detail(self.access(slug)))

    @extend_schema(tags=["chat"], request=RoomChangeSerializer, responses=RoomDetailSerializer)
    def patch(self, request: Request, slug: str) -> Response:
        """Give a room another name or topic; archive it, or open it again."""
        room = self.access(slug).room
        values = self.valid(RoomChangeSerializer)
        is_archived = values.pop("is_archived", None)
        with told_to_client():
            if is_archived is False:
                actions.archive_room(room, actor=self.member, is_archived=False)
            if values:
                actions.describe_room(room, actor=self.member, **values)
            if is_archived:
                actions.archive_room(room, actor=self.member, is_archived=True)
        return Response(_detail(self.access(slug)))


class RoomEvents(ChatView):
    """What happened in a room."""

    @extend_schema(
        tags=["chat"],
        parameters=[
            OpenApiParameter("after", OpenApiTypes.INT, required=True, description="The last number that you have."),
            OpenApiParameter("limit", OpenApiTypes.INT, description=f"At most {replay.LARGEST_PAGE}."),
        ],
        responses=EventPageSerializer,
    )
    def get(self, request: Request, slug: str) -> Response:
        """Return what happened after a number, edits and deletions too; or that the room is to be fetched anew."""
        room = self.access(slug).room
        limit = self.number("limit", replay.LARGEST_PAGE) or replay.LARGEST_PAGE
        missed = replay.events_after(room, self.number("after") or 0, limit)
        metrics.REPLAYS.labels("resync" if missed.must_resync else "replayed").inc()
        metrics.REPLAYED.inc(len(missed.events))
        return Response(
            {
                "after": missed.after,
                "upto": missed.upto,
                "last_sequence": missed.last_sequence,
                "events": missed.events,
                "resync": missed.must_resync,
            }
        )


class RoomPins(ChatView):
    """What is pinned in a room."""

    @extend_schema(tags=["chat"], responses=MessageSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Return the pinned messages, the last one first."""
        return Response([showing.message(one) for one in queries.pins_of(self.access(slug).room)])


class RoomRead(ChatView):
    """How far you have read in a room."""

    @extend_schema(tags=["chat"], request=ReadSerializer, responses=RoomUnreadSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Mark all up to a number as read; it never goes back."""
        room = self.access(slug).room
        return Response(actions.mark_read(room, self.valid(ReadSerializer)["sequence"], actor=self.member))


class RoomPresence(ChatView):
    """Who is in a room."""

    @extend_schema(tags=["chat"], responses=PresenceSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """Return who has the room open, as far as is known at this moment."""
        ids = presence.people_in(self.access(slug).room.pk)
        people = User.objects.filter(pk__in=sorted(ids)[:MOST_NAMES]).order_by("pk")
        shown = [{"id": user.pk, "name": user.name, "username": user.username} for user in people]
        return Response({"count": len(ids), "here": shown})


class Unread(ChatView):
    """What you haven't read."""

    @extend_schema(tags=["chat"], responses=RoomUnreadSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Return how much is unread in each room that you belong to or have read in."""
        return Response(queries.unread_of(self.member))


def _detail(access: Access) -> dict[str, Any]:
    room: Room = access.room
    you = {
        "role": access.role or None,
        "can_write": access.can_write,
        "can_moderate": access.can_moderate,
        "can_own": access.can_own,
    }
    return {**showing.room(room), "last_sequence": room.last_sequence, "you": you}
