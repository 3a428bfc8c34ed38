"""Rooms: opened, described, archived and opened again."""

import re
from collections.abc import Mapping

from django.db import transaction
from django.utils.text import slugify

from accounts.models import User
from chat import queries, rules
from chat.actions.log import lock, next_sequence, note_room
from chat.errors import ConflictError, InvalidError
from chat.models import Member, Role, Room, RoomKind

_DIRECT = re.compile(r"direct-\d+-\d+")


@transaction.atomic
def open_room(slug: str, *, name: str, topic: str = "", actor: User | None) -> Room:
    """Return the public room `slug`, made with this name and topic where there is none; for the house itself."""
    room, _ = Room.objects.get_or_create(slug=slug, defaults={"name": name, "topic": topic})
    return room


@transaction.atomic
def create_room(*, actor: User, name: str, slug: str = "", topic: str = "", kind: str = RoomKind.PRIVATE) -> Room:
    """Open a room, whose owner is the actor; its slug is made from the name where none is given.

    Raises:
        NotAllowedError: they may not open rooms of this kind.
        InvalidError: there's no name, or no slug in it; or it's a direct conversation, which `open_direct` opens.
        ConflictError: the slug is taken.
    """
    if kind not in (RoomKind.PUBLIC, RoomKind.PRIVATE):
        raise InvalidError("A room is public or private.", field="kind")
    why = "Public rooms are opened by moderators; you can open a private one."
    rules.require(rules.can_open_room(actor, kind), None, action="create_room", why=why)
    name, topic = _line(name, "name", 100), _line(topic, "topic", 200, may_be_empty=True)
    slug = slug or slugify(name)[:50].strip("-")
    if not slug or slug != slugify(slug) or len(slug) > 50 or _DIRECT.fullmatch(slug):
        raise InvalidError("An address has 1 to 50 small letters, digits and hyphens.", field="slug")
    if Room.objects.filter(slug=slug).exists():
        raise ConflictError("There is a room of this address already; choose another.")
    room = Room.objects.create(slug=slug, name=name, topic=topic, kind=kind)
    Member.objects.create(room=room, user=actor, role=Role.OWNER)
    return room


@transaction.atomic
def open_direct(other: User, *, actor: User) -> Room:
    """Return the conversation of two people, opened where there's none yet.

    Raises:
        InvalidError: it's oneself, or an account that is closed.
        NotAllowedError: the actor is banned from the chat.
    """
    if other.pk == actor.pk or not other.is_active:
        raise InvalidError("A conversation needs somebody else, whose account is open.", field="user")
    allowed = rules.can_open_room(actor, RoomKind.DIRECT)
    is_banned = queries.restrictions_in_force(actor).filter(room__isnull=True).exists()
    rules.require(allowed and not is_banned, None, action="open_direct", why="You are muted or banned.")
    first, second = sorted((actor, other), key=lambda user: user.pk)
    name = f"{first.name} and {second.name}"
    room, is_new = Room.objects.get_or_create(
        slug=f"direct-{first.pk}-{second.pk}", defaults={"name": name[:100], "kind": RoomKind.DIRECT}
    )
    if is_new:
        for user in (first, second):
            Member.objects.create(room=room, user=user)
    return room


@transaction.atomic
def describe_room(room: Room, *, actor: User, name: str | None = None, topic: str | None = None) -> Room:
    """Give a room another name or topic.

    Raises:
        NotAllowedError: they don't moderate it.
        InvalidError: the name is empty, or something too long.
    """
    access = queries.access_to(actor, room)
    rules.require(access is not None and access.can_moderate, room, action="describe_room")
    wanted: dict[str, str] = {}
    if name is not None:
        wanted["name"] = _line(name, "name", 100)
    if topic is not None:
        wanted["topic"] = _line(topic, "topic", 200, may_be_empty=True)
    room = lock(room)
    if room.is_archived:
        raise ConflictError("The room is archived.")
    return _change(room, {field: value for field, value in wanted.items() if getattr(room, field) != value})


@transaction.atomic
def archive_room(room: Room, *, actor: User, is_archived: bool) -> Room:
    """Let a room be read alone, or opened again; nothing happens where it's so already.

    Raises:
        NotAllowedError: they don't own it.
    """
    access = queries.access_to(actor, room)
    rules.require(access is not None and access.can_own, room, action="archive_room")
    room = lock(room)
    if room.is_archived == is_archived:
        return room
    return _change(room, {"archived_at": queries.now() if is_archived else None})


@transaction.atomic
def tell_room_changed(room: Room) -> None:
    """Write into the room's log that its own words or state were changed elsewhere, as in the admin."""
    note_room(room, next_sequence(room, even_archived=True))


def _change(room: Room, changes: Mapping[str, object]) -> Room:
    if not changes:
        return room
    for field, value in changes.items():
        setattr(room, field, value)
    room.save(update_fields=list(changes))
    note_room(room, next_sequence(room, even_archived=True))
    return room


def _line(text: str, field: str, longest: int, *, may_be_empty: bool = False) -> str:
    line = " ".join(text.split())
    if not (may_be_empty or line) or len(line) > longest or not line.isprintable():
        raise InvalidError(f"One line of at most {longest} characters.", field=field)
    return line
