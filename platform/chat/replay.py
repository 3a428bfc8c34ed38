"""A room's log, read: what happened after a number, with what it concerns as it's now.

Events name what changed, and carry it whole: whoever has applied all of them has what a fresh look would give, also
where something changed twice. The log may be cut off at its beginning (old events are cleaned up), and a person's
end takes their messages along; who asks for what isn't whole any more is told to fetch the room anew.
"""

from dataclasses import dataclass, field
from typing import Any

from chat import showing
from chat.models import EventKind, Member, Message, Room, RoomEvent
from chat.queries import with_all

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
        .select_related("user")
        .order_by("sequence")
    )
    if len(rows) != upto - after:
        return Replay(after, after, last, must_resync=True)
    return Replay(after, upto, last, _with_contents(room, rows))


def _with_contents(room: Room, rows: list[RoomEvent]) -> list[dict[str, Any]]:
    messages = with_all(Message.objects.filter(pk__in={row.message_id for row in rows if row.message_id}))
    shown = {message.pk: showing.message(message) for message in messages}
    user_ids = {row.user_id for row in rows if row.kind == EventKind.MEMBER_CHANGED}
    members = {one.user_id: one for one in Member.objects.filter(room=room, user__in=user_ids)} if user_ids else {}
    state: dict[str, Any] | None = None
    events = []
    for row in rows:
        what: dict[str, Any] = {}
        if row.kind == EventKind.ROOM_CHANGED:
            state = state or showing.room(Room.objects.get(pk=room.pk))
            what["room_state"] = state
        elif row.kind == EventKind.MEMBER_CHANGED and row.user is not None:
            what["member"] = showing.member(row.user.pk, members.get(row.user.pk), row.user.name, row.user.username)
        else:
            what["message"] = shown.get(row.message_id or 0)  # None where it went this very moment
        events.append(showing.event(room.slug, row.sequence, row.kind, **what))
    return events
