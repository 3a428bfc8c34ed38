"""Who belongs to a room: joined, brought in, given another role, gone."""

from django.db import transaction

from accounts.models import User
from chat import queries, rules
from chat.actions.log import lock, next_sequence, note_member
from chat.errors import ConflictError, InvalidError
from chat.models import Member, ReadMark, Role, Room, RoomKind
from notifications.actions import request_notification

MOST_MEMBERS = 5_000


@transaction.atomic
def join_room(room: Room, *, actor: User) -> Member:
    """Become a member of a public room: then it's counted what one hasn't read there.

    Raises:
        NotAllowedError: they may not enter it.
    """
    access = queries.access_to(actor, room)
    may_join = access is not None and access.can_enter and room.kind == RoomKind.PUBLIC
    is_member = access is not None and access.can_enter and bool(access.role)
    rules.require(may_join or is_member, room, action="join_room")
    room = lock(room)
    return Member.objects.filter(room=room, user=actor).first() or _add(room, actor, Role.MEMBER)


@transaction.atomic
def add_member(room: Room, user: User, *, actor: User, role: str = Role.MEMBER) -> Member:
    """Bring somebody into a room; who belongs to it already keeps their role. They are told.

    Raises:
        NotAllowedError: the actor doesn't moderate the room, or doesn't own it and gives a role.
        InvalidError: the account is closed, or there's no such role.
    """
    _require_keeper(room, actor, "add_member", role)
    if not user.is_active:
        raise InvalidError("This account is closed.", field="user")
    room = lock(room)
    if existing := Member.objects.filter(room=room, user=user).first():
        return existing
    if room.members.count() >= MOST_MEMBERS:
        raise ConflictError(f"A room has at most {MOST_MEMBERS:,} members.")
    request_notification(
        user,
        kind="chat_message",
        title=f"{actor.name} brought you into {room.name}",
        url=room.get_absolute_url(),
        actor=actor,
    )
    return _add(room, user, role)


@transaction.atomic
def change_role(room: Room, user: User, *, actor: User, role: str) -> Member:
    """Give a member another role.

    Raises:
        NotAllowedError: the actor doesn't own the room.
        InvalidError: they are no member, or there's no such role.
        ConflictError: the room would be without an owner.
    """
    access = queries.access_to(actor, room)
    rules.require(access is not None and access.can_own, room, action="change_role")
    room = lock(room)
    member = _member(room, user)
    if role not in Role.values:
        raise InvalidError(f"A role is one of {', '.join(Role.values)}.", field="role")
    if member.role == role:
        return member
    _keep_an_owner(room, member)
    member.role = role
    member.save(update_fields=["role"])
    note_member(room, next_sequence(room, even_archived=True), user, member)
    return member


@transaction.atomic
def remove_member(room: Room, user: User, *, actor: User) -> None:
    """Leave a room, or have somebody leave it; their open pages of a private one are closed.

    Raises:
        NotAllowedError: it's somebody else and the actor doesn't moderate the room, or that one owns it.
        InvalidError: they are no member.
        ConflictError: the room would be without an owner, or is the conversation of two.
    """
    access = queries.access_to(actor, room)
    room = lock(room)
    member = _member(room, user)
    if room.is_direct:
        raise ConflictError("A conversation of two isn't left.")
    may = access is not None and (
        user.pk == actor.pk or access.can_own or (access.can_moderate and member.role == Role.MEMBER)
    )
    rules.require(may, room, action="remove_member")
    _keep_an_owner(room, member)
    member.delete()
    ReadMark.objects.filter(room=room, user=user).delete()
    note_member(room, next_sequence(room, even_archived=True), user, None)


def _add(room: Room, user: User, role: str) -> Member:
    member = Member.objects.create(room=room, user=user, role=role)
    # Who comes has nothing to catch up on.
    ReadMark.objects.get_or_create(room=room, user=user, defaults={"sequence": room.last_sequence})
    note_member(room, next_sequence(room, even_archived=True), user, member)
    return member


def _require_keeper(room: Room, actor: User, action: str, role: str) -> None:
    if role not in Role.values:
        raise InvalidError(f"A role is one of {', '.join(Role.values)}.", field="role")
    access = queries.access_to(actor, room)
    may = access is not None and (access.can_moderate if role == Role.MEMBER else access.can_own)
    rules.require(may, room, action=action)


def _member(room: Room, user: User) -> Member:
    member = Member.objects.filter(room=room, user=user).first()
    if member is None:
        raise InvalidError("There is no such member of this room.", field="user")
    return member


def _keep_an_owner(room: Room, member: Member) -> None:
    owners = room.members.filter(role=Role.OWNER).exclude(pk=member.pk)
    if member.role == Role.OWNER and not owners.exists():
        raise ConflictError("A room needs an owner: make somebody else one first.")
