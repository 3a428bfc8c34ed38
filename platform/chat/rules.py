"""Who may do what in rooms; the one place that says so. Pages, API, sockets and actions all ask here.

- whoever is logged in and not banned enters public rooms; private and direct ones are entered by their members alone,
  and nobody else learns that they exist, not even administrators;
- everybody opens private rooms and direct conversations; public rooms need `chat.add_room`;
- whoever may enter a room writes in it, unless it's archived or they are muted;
- people edit what they said for an hour, and delete it at any time;
- a room's owners and moderators, and in public rooms those with `chat.moderate_room`, set name and topic, pin, delete
  what others said, mute and ban; owners and the latter also archive and give roles;
- reports are read by those with `chat.moderate_room`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from django.contrib.auth.models import AnonymousUser

import audit
from accounts.models import User
from audit.recording import Target
from chat.errors import NotAllowedError
from chat.models import Message, RestrictionKind, Role, Room, RoomKind

Visitor: TypeAlias = User | AnonymousUser

EDIT_WINDOW = timedelta(hours=1)
_IN_CHARGE = (Role.OWNER, Role.MODERATOR)


@dataclass(frozen=True, slots=True)
class Access:
    """What one person may do in one room, as it was when it was looked up: `chat.queries.access_to` makes it."""

    user: User
    room: Room
    role: str = ""  # empty where they are no member
    restrictions: frozenset[str] = frozenset()
    is_site_moderator: bool = False

    @property
    def can_enter(self) -> bool:
        """Whether they may read along."""
        if not self.user.is_active or RestrictionKind.BAN in self.restrictions:
            return False
        return self.room.kind == RoomKind.PUBLIC or bool(self.role)

    @property
    def can_write(self) -> bool:
        """Whether they may say something, react, and change what they said."""
        return self.can_enter and not self.room.is_archived and RestrictionKind.MUTE not in self.restrictions

    @property
    def can_moderate(self) -> bool:
        """Whether they keep order: names, topics, pins, what others said, mutes and bans."""
        if not self.can_enter or self.room.is_direct:
            return False
        is_moderator = self.is_site_moderator and self.room.kind == RoomKind.PUBLIC
        return self.role in _IN_CHARGE or is_moderator

    @property
    def can_own(self) -> bool:
        """Whether they archive the room, and say who has which role."""
        if not self.can_enter or self.room.is_direct:
            return False
        return self.role == Role.OWNER or (self.is_site_moderator and self.room.kind == RoomKind.PUBLIC)

    @property
    def can_pin(self) -> bool:
        """Whether they may pin; in a direct conversation both do."""
        return self.can_write and (self.room.is_direct or self.can_moderate)

    def can_edit(self, message: Message, now: datetime) -> bool:
        """Whether they may change the words of a message of this room."""
        is_own = message.author_id == self.user.pk
        return self.can_write and is_own and not message.is_deleted and now - message.created_at <= EDIT_WINDOW

    def can_delete(self, message: Message) -> bool:
        """Whether they may take a message of this room away."""
        if self.room.is_archived or message.is_deleted:
            return False
        return (self.can_enter and message.author_id == self.user.pk) or self.can_moderate

    def can_see_history(self, message: Message) -> bool:
        """Whether they may see what a message said before."""
        return self.can_enter and (message.author_id == self.user.pk or self.can_moderate)


def can_open_room(user: Visitor, kind: str) -> bool:
    """Whether `user` may open a room of a kind."""
    if not isinstance(user, User) or not user.is_active:
        return False
    return kind != RoomKind.PUBLIC or user.has_perm("chat.add_room")


def is_site_moderator(user: Visitor) -> bool:
    """Whether `user` keeps order in all public rooms, and reads reports."""
    return user.has_perm("chat.moderate_room")


def require(is_allowed: bool, target: Target, *, action: str, why: str = "") -> None:
    """Raise unless it's allowed; the ledger remembers the denial.

    Raises:
        NotAllowedError: it isn't.
    """
    if is_allowed:
        return
    audit.record("chat.access.denied", target=target, outcome="denied", changes={"action": action})
    raise NotAllowedError(why or NotAllowedError.__doc__)
