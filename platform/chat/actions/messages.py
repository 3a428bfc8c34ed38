"""What is said in rooms, changed and taken away again. Open pages hear of it after the commit."""

import unicodedata
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, connection, transaction

from accounts.models import User
from chat import limits, markdown, metrics, queries, rules, showing, statements
from chat.actions.log import lock, next_sequence, note_message, say, tell_of
from chat.actions.telling import tell_people
from chat.errors import ConflictError, GoneError, InvalidError, InvalidMessageError
from chat.models import LONGEST_BODY, EventKind, Message, Reaction, Room
from chat.rules import Access
from images.models import Picture, State

MOST_PICTURES = 8
MOST_MENTIONS = 20
EMOJI = ("👍", "👎", "❤️", "😂", "🎉", "😮", "😢", "🙏", "👀", "✅", "🚀", "🤔")
# Control characters and halves of surrogate pairs.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs"})


def clean_body(text: str, *, may_be_empty: bool = False) -> str:
    """Return a message's text with plain line ends and no blank ends; raises InvalidMessageError."""
    body = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not (0 if may_be_empty else 1) <= len(body) <= LONGEST_BODY:
        raise InvalidMessageError(f"A message has 1 to {LONGEST_BODY:,} characters; this one has {len(body):,}.")
    for character in body:
        if character not in "\n\t" and unicodedata.category(character) in _REFUSED_CATEGORIES:
            raise InvalidMessageError(f"A message can't hold the control character U+{ord(character):04X}.")
    return body


def send_message(
    room: Room,
    *,
    actor: User,
    body: str,
    client_id: uuid.UUID | None = None,
    reply_to: int | None = None,
    pictures: Sequence[int] = (),
) -> Message:
    """Store a message under the room's next number, push it to the room's open pages, and tell whom it concerns.

    The same `client_id` from the same author gives the message that is there already.

    Raises:
        InvalidMessageError: an empty or too long body, or one with control characters.
        InvalidError: what it answers isn't in this room, or a picture isn't the actor's or not ready.
        NotAllowedError: they may not write here.
        TooManyError: they say too much in too short a time.
        ConflictError: the room was archived meanwhile.
    """
    body = clean_body(body, may_be_empty=bool(pictures))
    access = require_writer(room, actor, "send_message")
    if client_id is not None and (stored := _stored(room, actor, client_id)):
        return stored
    limits.take_message(actor)
    try:
        with transaction.atomic():
            return _store(access, body, client_id, reply_to, pictures)
    except IntegrityError:  # the same was sent twice at the same time, and the other was stored
        if client_id is not None and (stored := _stored(room, actor, client_id)):
            return stored
        raise


def _stored(room: Room, author: User, client_id: uuid.UUID) -> Message | None:
    with connection.cursor() as cursor:
        cursor.execute(statements.STORED, [room.pk, author.pk, client_id])
        row = cursor.fetchone()
    return queries.message_in(room, row[0]) if row else None


def _store(
    access: Access, body: str, client_id: uuid.UUID | None, reply_to: int | None, pictures: Sequence[int]
) -> Message:
    room, actor = access.room, access.user
    answered = _answered(room, reply_to)
    chosen = _pictures(actor, pictures)
    people = _mentioned(room, body)
    html = markdown.render_message(body, {user.username: user.pk for user in people}) if body else ""
    message = Message(
        room=room,
        author=actor,
        body=body,
        html=html,
        client_id=client_id,
        reply_to=answered,
        mentions=sorted(user.pk for user in people),
    )
    say(message)  # from here on others who write here wait
    if chosen:
        message.pictures.set(chosen)
    # Nobody has answered yet: nothing of it has to be looked up to show it.
    shown_pictures: Any = Picture.objects.none()
    shown_pictures._result_cache = chosen
    known = {"reactions": Reaction.objects.none(), "pictures": shown_pictures}
    message._prefetched_objects_cache = known  # type: ignore[attr-defined]
    tell_of(message, shown=showing.message(message))
    tell_people(message, people, answered)
    transaction.on_commit(lambda: metrics.MESSAGES.labels(room=room.slug).inc(), robust=True)
    return message


@transaction.atomic
def edit_message(message: Message, *, actor: User, body: str) -> Message:
    """Change the words of one's own message; those who are named anew are told. The same words change nothing.

    Raises:
        InvalidMessageError: as for a new one.
        NotAllowedError: it's someone else's, too old, deleted, or they may not write here.
    """
    body = clean_body(body, may_be_empty=message.pictures.exists())
    access = _access(message.room, actor)
    message = _locked(message)
    rules.require(
        access is not None and access.can_edit(message, queries.now()),
        message,
        action="edit_message",
        why="People change what they said themselves, within an hour, where they may write.",
    )
    if body == message.body:
        return message
    before = set(message.mentions)
    people = _mentioned(message.room, body)
    message.body = body
    message.html = markdown.render_message(body, {user.username: user.pk for user in people}) if body else ""
    message.mentions = sorted(user.pk for user in people)
    message.edited_at = queries.now()
    _save(message, EventKind.MESSAGE_EDITED, "body", "html", "mentions", "edited_at")
    tell_people(message, [user for user in people if user.pk not in before], None)
    return message


@transaction.atomic
def delete_message(message: Message, *, actor: User) -> Message:
    """Take a message away: its place stays, its words, pictures, reactions and pin go. The ledger has what it said.

    Raises:
        NotAllowedError: it's someone else's and the actor is no moderator of the room, or it's gone already.
    """
    access = _access(message.room, actor)
    message = _locked(message)
    rules.require(access is not None and access.can_delete(message), message, action="delete_message")
    return wipe_message(message)


def wipe_message(message: Message) -> Message:
    """Take a message away, once it's known that it may be; its room is locked."""
    message.body = message.html = ""
    message.mentions = []
    message.deleted_at = queries.now()
    message.pinned_at = None
    message.pictures.clear()
    message.reactions.all().delete()
    _save(message, EventKind.MESSAGE_DELETED, "body", "html", "mentions", "deleted_at", "pinned_at")
    return message


@transaction.atomic
def react(message: Message, *, actor: User, emoji: str, is_on: bool) -> Message:
    """Answer a message with a sign, or take that back; nothing happens where it's so already.

    Raises:
        InvalidError: the sign isn't one of `EMOJI`.
        NotAllowedError: they may not write here.
        ConflictError: the message is deleted.
    """
    if emoji not in EMOJI:
        raise InvalidError(f"A reaction is one of {' '.join(EMOJI)}.", field="emoji")
    require_writer(message.room, actor, "react")
    message = _locked(message)
    if message.is_deleted:
        raise ConflictError("The message is deleted.")
    given = Reaction.objects.filter(message=message, user=actor, emoji=emoji)
    if given.exists() == is_on:
        return message
    if is_on:
        Reaction.objects.create(message=message, user=actor, emoji=emoji)
    else:
        given.delete()
    _save(message, EventKind.MESSAGE_REACTED)
    return message


@transaction.atomic
def pin(message: Message, *, actor: User, is_on: bool) -> Message:
    """Pin a message to its room, or take the pin away; nothing happens where it's so already.

    Raises:
        NotAllowedError: they don't moderate the room.
        ConflictError: it's deleted, or so many are pinned already.
    """
    access = _access(message.room, actor)
    rules.require(access is not None and access.can_pin, message, action="pin")
    message = _locked(message)
    if message.is_deleted:
        raise ConflictError("The message is deleted.")
    if (message.pinned_at is not None) == is_on:
        return message
    if is_on and message.room.messages.filter(pinned_at__isnull=False).count() >= queries.MOST_PINS:
        raise ConflictError(f"{queries.MOST_PINS} messages are pinned here already; take one away first.")
    message.pinned_at = queries.now() if is_on else None
    _save(message, EventKind.MESSAGE_PINNED, "pinned_at")
    return message


def require_writer(room: Room, actor: User, action: str) -> Access:
    """Return what the actor may do in the room, once it's known that they may write there.

    Raises:
        NotAllowedError: they may not.
    """
    access = queries.access_to(actor, room)
    why = "This room is archived." if room.is_archived else "You may not write here."
    rules.require(access is not None and access.can_write, room, action=action, why=why)
    assert access is not None  # noqa: S101
    return access


def _access(room: Room, actor: User) -> Access | None:
    return queries.access_to(actor, room)


def _locked(message: Message) -> Message:
    """Return the message as it's now; nobody else changes anything of its room until the transaction ends."""
    room = lock(message.room)
    current = queries.with_all(room.messages.all()).filter(pk=message.pk).first()
    if current is None:
        raise GoneError("There is no such message.")
    current.room = room
    return current


def _save(message: Message, kind: EventKind, *fields: str) -> None:
    """Save a changed message under the room's next number, and write the event."""
    message.version = next_sequence(message.room, even_archived=kind == EventKind.MESSAGE_DELETED)
    message.save(update_fields=["version", *fields])
    again = queries.with_all(Message.objects.all()).get(pk=message.pk)
    note_message(message, message.version, kind, shown=showing.message(again))


def _answered(room: Room, message_id: int | None) -> Message | None:
    if message_id is None:
        return None
    answered = room.messages.filter(pk=message_id).select_related("author").first()
    if answered is None:
        raise InvalidError("What it answers isn't a message of this room.", field="reply_to")
    return answered


def _pictures(actor: User, ids: Sequence[int]) -> list[Picture]:
    if not ids:
        return []
    if len(ids) > MOST_PICTURES:
        raise InvalidError(f"A message has at most {MOST_PICTURES} pictures.", field="pictures")
    found = Picture.objects.filter(pk__in=ids, uploader=actor, state=State.READY)
    pictures = list(found.prefetch_related("thumbnails").order_by("pk"))
    if len(pictures) != len(set(ids)):
        raise InvalidError("Each picture has to be one of yours, and ready.", field="pictures")
    return pictures


def _mentioned(room: Room, body: str) -> list[User]:
    """Return the people who are named in a text and may read it."""
    names = markdown.names_in(body) if "@" in body else []
    if not names:
        return []
    return queries.people_who_may_enter(room, queries.users_named(names[: 2 * MOST_MENTIONS]))[:MOST_MENTIONS]
