"""A person's rooms as the list of them shows: their own, their conversations, and those that they could join."""

from dataclasses import dataclass, field
from typing import Any

from accounts.models import User
from chat import queries
from chat.models import Member, Room, RoomKind


@dataclass(frozen=True, slots=True)
class Listed:
    """One room, called as its visitor calls it, and what they haven't read there."""

    room: Room
    title: str
    is_member: bool = False
    unread: int = 0
    mentions: int = 0


@dataclass(slots=True)
class Listing:
    """The rooms of one person, those with something new first."""

    own: list[Listed] = field(default_factory=list)
    direct: list[Listed] = field(default_factory=list)
    other: list[Listed] = field(default_factory=list)
    archived: list[Listed] = field(default_factory=list)


def rooms_of(user: User) -> Listing:
    """Return the rooms that `user` may enter, in a number of queries that doesn't grow with theirs."""
    rooms = list(queries.rooms_visible_to(user))
    memberships = set(Member.objects.filter(user=user).values_list("room_id", flat=True))
    titles = _others(user, [room for room in rooms if room.is_direct])
    unread: dict[Any, dict[str, Any]] = {row["room"]: row for row in queries.unread_of(user)}
    listing = Listing()
    for room in rooms:
        counts = unread.get(room.slug, {})
        listed = Listed(
            room,
            titles.get(room.pk, room.name),
            room.pk in memberships,
            counts.get("unread", 0),
            counts.get("mentions", 0),
        )
        if room.is_archived:
            listing.archived.append(listed)
        elif room.is_direct:
            listing.direct.append(listed)
        else:
            (listing.own if listed.is_member else listing.other).append(listed)
    for shelf in (listing.own, listing.direct, listing.other):
        shelf.sort(key=lambda one: (not one.mentions, not one.unread, one.title.lower()))
    return listing


def title_for(user: User, room: Room) -> str:
    """Return what `user` calls a room: a conversation of two is called after the other."""
    return _others(user, [room]).get(room.pk, room.name) if room.is_direct else room.name


def _others(user: User, rooms: list[Room]) -> dict[int, str]:
    members = Member.objects.filter(room__in=rooms, room__kind=RoomKind.DIRECT).exclude(user=user)
    return {member.room_id: member.user.name for member in members.select_related("user")} if rooms else {}
