"""A room's log, read: what happened after a number, with what it concerns as it's now.

Events name what changed, and carry it whole: whoever has applied all of them has what a fresh look would give, also
where something changed twice. The log may be cut off at its beginning (old events are cleaned up), and a person's
end takes their messages along; who asks for what isn't whole any more is told to fetch the room anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from accounts.models import User
from chat import showing
from chat.models import EventKind, Member, Message, Reaction, Room, RoomEvent
from images.models import Picture

_Row: TypeAlias = tuple[int, str, int | None, int | None]

LARGEST_PAGE = 500
# Who is further behind is better off with the room's last messages than with all that happened.
LONGEST_REPLAY = 2_000


@dataclass(frozen=True, slots=True)
class Replay:
    """The events after a number. `must_resync` where they can't be had; there are more where `upto` isn't the last."""

    after: int
    upto: int
    last_sequence: int
    events: list[dict[str, Any]] = field(default_factory=list)
    must_resync: bool = False


def events_after(room: Room, after: int, limit: int = LARGEST_PAGE) -> Replay:
    """Return at most `limit` events that follow number `after`."""
    # Read first: what happens meanwhile is told as more to come.
    last = Room.objects.filter(pk=room.pk).values_list("last_sequence", flat=True).first() or 0
    if after == last:
        return Replay(after, after, last)
    if after > last or last - after > LONGEST_REPLAY:  # a number from another life of this room, or too far behind
        return Replay(after, after, last, must_resync=True)
    upto = min(last, after + min(limit, LARGEST_PAGE))
    rows = list(
        RoomEvent.objects.filter(room=room, sequence__gt=after, sequence__lte=upto)
        .order_by("sequence")
        .values_list("sequence", "kind", "message_id", "user_id")
    )
    if len(rows) != upto - after:
        return Replay(after, after, last, must_resync=True)
    return Replay(after, upto, last, _with_contents(room, rows))


def _with_contents(room: Room, rows: Sequence[_Row]) -> list[dict[str, Any]]:
    messages = _messages({message_id for _, _, message_id, _ in rows if message_id is not None})
    members = _members(
        room, {user for _, kind, _, user in rows if user is not None and kind == EventKind.MEMBER_CHANGED}
    )
    state: dict[str, Any] | None = None
    events = []
    for sequence, kind, message_id, user_id in rows:
        what: dict[str, Any] = {}
        if kind == EventKind.ROOM_CHANGED:
            state = state or showing.room(Room.objects.get(pk=room.pk))
            what["room_state"] = state
        elif kind == EventKind.MEMBER_CHANGED:
            what["member"] = members.get(user_id or 0)
        else:
            what["message"] = messages.get(message_id or 0)  # None where it went this very moment
        events.append(showing.event(room.slug, sequence, kind, **what))
    return events


def _messages(ids: set[int]) -> dict[int, dict[str, Any]]:
    """Return messages as they are told. Many come at once here, and rows cost a third of what instances do."""
    rows = Message.objects.filter(pk__in=ids).values_list(*showing.MESSAGE_FIELDS, named=True)
    found: dict[int, Any] = {row.id: row for row in rows}
    authors = User.objects.in_bulk({row.author_id for row in found.values()})
    reactions: dict[int, dict[str, list[int]]] = {}
    given = Reaction.objects.filter(message__in=ids).order_by("pk").values_list("message_id", "emoji", "user_id")
    for message_id, emoji, user_id in given:
        reactions.setdefault(message_id, {}).setdefault(emoji, []).append(user_id)
    pictures = _pictures(ids)
    return {
        message_id: showing.message_row(
            row, authors[row.author_id], pictures.get(message_id, []), reactions.get(message_id, {})
        )
        for message_id, row in found.items()
        if row.author_id in authors
    }


def _pictures(ids: set[int]) -> dict[int, list[dict[str, Any]]]:
    pairs = Message.pictures.through.objects.filter(message__in=ids).order_by("picture_id")
    of_messages = list(pairs.values_list("message_id", "picture_id"))
    if not of_messages:
        return {}
    found = Picture.objects.prefetch_related("thumbnails").in_bulk({picture_id for _, picture_id in of_messages})
    pictures: dict[int, list[dict[str, Any]]] = {}
    for message_id, picture_id in of_messages:
        if picture_id in found:
            pictures.setdefault(message_id, []).append(showing.picture(found[picture_id]))
    return pictures


def _members(room: Room, ids: set[int]) -> dict[int, dict[str, Any]]:
    if not ids:
        return {}
    members = {one.user_id: one for one in Member.objects.filter(room=room, user__in=ids)}
    people = User.objects.in_bulk(ids).values()
    return {user.pk: showing.member(user.pk, members.get(user.pk), user.name, user.username) for user in people}
