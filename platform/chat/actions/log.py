"""A room's log, written: each change that clients have to know gets the room's next number, and is pushed on commit."""

from functools import partial
from typing import Any

import orjson
from django.db import connection, transaction

from accounts.models import User
from chat import metrics, news, queries, showing, statements
from chat.errors import ConflictError, GoneError
from chat.models import EventKind, Member, Message, Room, RoomEvent
from notifications.push import push_to_group

# They change what is unread.
_COUNTED = (EventKind.MESSAGE_CREATED, EventKind.MESSAGE_EDITED, EventKind.MESSAGE_DELETED)


def group_of(room: Room) -> str:
    """Return the channel-layer group of a room's open pages."""
    return f"chat.room-{room.pk}"


def lock(room: Room) -> Room:
    """Return the room as it's now, and let nobody else change anything in it until the transaction ends.

    Raises:
        GoneError: there's no such room any more.
    """
    locked = Room.objects.select_for_update().filter(pk=room.pk).first()
    if locked is None:
        raise GoneError("There is no such room.")
    return locked


def next_sequence(room: Room, *, even_archived: bool = False) -> int:
    """Return the room's next number, and hold its row for the rest of the transaction.

    So numbers are given in the order of commits, and none is skipped: a rollback gives its number back. Whoever takes
    one writes an event.

    Raises:
        GoneError: there's no such room any more.
        ConflictError: it's archived.
    """
    with connection.cursor() as cursor:
        cursor.execute(statements.NEXT_SEQUENCE, [room.pk])
        row = cursor.fetchone()
    if row is None:
        raise GoneError("There is no such room.")
    if row[1] is not None and not even_archived:
        raise ConflictError("The room is archived.")
    return int(row[0])


def say(message: Message) -> None:
    """Store a new message under the room's next number, and its event; fills in what the database gave it.

    Raises:
        GoneError: there's no such room any more.
        ConflictError: it's archived.
    """
    values: dict[str, Any] = {
        "room": message.room_id,
        "author": message.author_id,
        "body": message.body,
        "html": message.html,
        "client_id": message.client_id,
        "reply_to": message.reply_to_id,
        "mentions": message.mentions,
    }
    with connection.cursor() as cursor:
        cursor.execute(statements.SAY, values)
        row = cursor.fetchone()
    if row is None:
        lock(message.room)
        raise ConflictError("The room is archived.")
    message.pk, message.sequence, message.created_at = row
    message.version = message.sequence
    message._state.adding, message._state.db = False, connection.alias


def tell_of(message: Message, *, shown: dict[str, Any]) -> None:
    """Push a new message on commit; `shown` is what is told of it."""
    _push_on_commit(message.room, message.sequence, EventKind.MESSAGE_CREATED, message=shown)


def note_message(message: Message, sequence: int, kind: EventKind, *, shown: dict[str, Any]) -> None:
    """Write that a message changed, whose version is this number by now; `shown` is what is told of it."""
    RoomEvent.objects.create(room=message.room, sequence=sequence, kind=kind, message=message)
    _push_on_commit(message.room, sequence, kind, message=shown)


def note_restored(message: Message, sequence: int) -> None:
    """Write that a message is as it was before; what is told is looked up at the commit, when all of it is there."""
    kind = EventKind.MESSAGE_DELETED if message.is_deleted else EventKind.MESSAGE_EDITED
    RoomEvent.objects.create(room=message.room, sequence=sequence, kind=kind, message=message)

    def push() -> None:
        again = queries.with_all(Message.objects.all()).get(pk=message.pk)
        _push(message.room, _pushed(message.room, sequence, kind, message=showing.message(again)))

    transaction.on_commit(push, robust=True)


def note_room(room: Room, sequence: int) -> None:
    """Write that the room's own words or its state changed."""
    RoomEvent.objects.create(room=room, sequence=sequence, kind=EventKind.ROOM_CHANGED)
    _push_on_commit(room, sequence, EventKind.ROOM_CHANGED, room_state=showing.room(room))


def note_member(room: Room, sequence: int, user: User, member: Member | None) -> None:
    """Write that somebody came, went or got another role."""
    RoomEvent.objects.create(room=room, sequence=sequence, kind=EventKind.MEMBER_CHANGED, user=user)
    shown = showing.member(user.pk, member, user.name, user.username)
    _push_on_commit(room, sequence, EventKind.MEMBER_CHANGED, member=shown)


def _push_on_commit(room: Room, sequence: int, kind: EventKind, **what: Any) -> None:
    transaction.on_commit(partial(_push, room, _pushed(room, sequence, kind, **what)), robust=True)


def _pushed(room: Room, sequence: int, kind: EventKind, **what: Any) -> dict[str, Any]:
    event = showing.event(room.slug, sequence, kind, **what)
    # Written as JSON once, not by each of the sockets that it goes to.
    return {"type": kind.value, "sequence": sequence, "text": orjson.dumps(event).decode()}


def _push(room: Room, message: dict[str, Any]) -> None:
    metrics.EVENTS.labels(message["type"]).inc()
    push_to_group(group_of(room), message)
    if message["type"] in _COUNTED:
        news.push_news(room.pk)
