"""Which rooms and messages someone may see."""

from typing import TypeAlias

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from accounts.models import User
from chat.models import Message, Room

Visitor: TypeAlias = User | AnonymousUser

PAGE_SIZE = 50
LARGEST_PAGE = 200
LARGEST_SEQUENCE = 2**63 - 1


def rooms_visible_to(user: Visitor) -> QuerySet[Room]:
    """Return the rooms that `user` may enter: all of them, once logged in."""
    return Room.objects.all() if user.is_authenticated else Room.objects.none()


def room_visible_to(user: Visitor, slug: str) -> Room | None:
    """Return a room if `user` may enter it, else None. Pages, API and sockets all ask here."""
    return rooms_visible_to(user).filter(slug=slug).first()


def messages_after(room: Room, sequence: int, limit: int = PAGE_SIZE) -> list[Message]:
    """Return the first `limit` messages that follow number `sequence`, in order."""
    messages = room.messages.filter(sequence__gt=sequence).select_related("author")
    return list(messages.order_by("sequence")[: min(limit, LARGEST_PAGE)])


def messages_before(room: Room, sequence: int | None = None, limit: int = PAGE_SIZE) -> list[Message]:
    """Return the last `limit` messages ahead of number `sequence`, or of the end, in order."""
    messages = room.messages.select_related("author")
    if sequence is not None:
        messages = messages.filter(sequence__lt=sequence)
    return list(messages.order_by("-sequence")[: min(limit, LARGEST_PAGE)])[::-1]
