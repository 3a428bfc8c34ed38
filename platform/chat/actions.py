"""What is done in rooms. Open pages hear of it after the commit."""

import unicodedata
import uuid
from functools import partial

from django.db import transaction

from accounts.models import User
from chat import metrics
from chat.errors import InvalidMessageError
from chat.models import Message, Room
from notifications.push import push_to_group

LONGEST_BODY = 4_000
# Control characters and halves of surrogate pairs.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs"})


def group_of(room: Room) -> str:
    """Return the channel-layer group of a room's open pages."""
    return f"chat.room-{room.pk}"


@transaction.atomic
def open_room(slug: str, *, name: str, topic: str = "", actor: User | None) -> Room:
    """Return the room `slug`, made with this name and topic where there is none."""
    room, _ = Room.objects.get_or_create(slug=slug, defaults={"name": name, "topic": topic})
    return room


@transaction.atomic
def send_message(room: Room, *, actor: User, body: str, client_id: uuid.UUID | None = None) -> Message:
    """Store a message under the room's next number, and push it to the room's open pages.

    The same `client_id` from the same author gives the message that is there already. Raises InvalidMessageError
    for an empty or too long body, or one with control characters.
    """
    body = clean_body(body)
    # The lock orders the room's messages: numbers are given in the order of commits, and none is skipped.
    locked = Room.objects.select_for_update().get(pk=room.pk)
    if client_id is not None:
        existing = locked.messages.select_related("author").filter(author=actor, client_id=client_id).first()
        if existing is not None:
            return existing
    locked.last_sequence += 1
    locked.save(update_fields=["last_sequence"])
    message = Message.objects.create(
        room=locked, sequence=locked.last_sequence, author=actor, body=body, client_id=client_id
    )
    transaction.on_commit(partial(_tell, message))
    return message


def clean_body(text: str) -> str:
    """Return a message's text with plain line ends and no blank ends; raises InvalidMessageError."""
    body = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not 1 <= len(body) <= LONGEST_BODY:
        raise InvalidMessageError(f"A message has 1 to {LONGEST_BODY:,} characters; this one has {len(body):,}.")
    for character in body:
        if character not in "\n\t" and unicodedata.category(character) in _REFUSED_CATEGORIES:
            raise InvalidMessageError(f"A message can't hold the control character U+{ord(character):04X}.")
    return body


def _tell(message: Message) -> None:
    metrics.MESSAGES.labels(room=message.room.slug).inc()
    push_to_group(
        group_of(message.room),
        {
            "type": "message.created",
            "room": message.room.slug,
            "sequence": message.sequence,
            "message": message.as_message(),
        },
    )
