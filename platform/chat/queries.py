"""Which rooms, messages and people of rooms someone may see. Every way into a room goes through `room_visible_to`."""

from collections.abc import Iterable
from datetime import datetime

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db import connection
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

import audit
from accounts.models import User
from chat import statements
from chat.models import (
    Member,
    Message,
    Reaction,
    ReadMark,
    Report,
    Restriction,
    RestrictionKind,
    Room,
    RoomKind,
)
from chat.rules import Access, Visitor, is_site_moderator
from images.models import Picture

PAGE_SIZE = 50
LARGEST_PAGE = 200
LARGEST_SEQUENCE = 2**63 - 1
MOST_PINS = 50
MOST_SUGGESTED = 8
_TALKED_LATELY = 200  # messages
MOST_UNREAD = 100  # beyond this a number says nothing more

NOT_FOUND = "There is no such room."


# --- rooms -----------------------------------------------------------------------------------------------------------


def rooms_visible_to(user: Visitor) -> QuerySet[Room]:
    """Return the rooms that `user` may enter: the same that `Access.can_enter` tells of one."""
    if not isinstance(user, User) or not user.is_active:
        return Room.objects.none()
    banned = restrictions_in_force(user).filter(kind=RestrictionKind.BAN)
    if banned.filter(room__isnull=True).exists():
        return Room.objects.none()
    is_member = Exists(Member.objects.filter(room=OuterRef("pk"), user=user))
    return Room.objects.filter(Q(kind=RoomKind.PUBLIC) | is_member).exclude(
        pk__in=banned.filter(room__isnull=False).values("room_id")
    )


def access_to(user: Visitor, room: Room) -> Access | None:
    """Return what `user` may do in the room; None for strangers."""
    if not isinstance(user, User):
        return None
    with connection.cursor() as cursor:
        cursor.execute(statements.STANDING, {"room": room.pk, "user": user.pk})
        role, kinds = cursor.fetchone()
    return Access(user, room, role, frozenset(kinds), is_site_moderator(user))


def room_visible_to(user: Visitor, slug: str) -> Access | None:
    """Return what `user` may do in a room that they may enter, else None: then it doesn't exist for them.

    That they asked for one which does exist is recorded.
    """
    room = Room.objects.filter(slug=slug).first()
    if room is None:
        return None
    access = access_to(user, room)
    if access is not None and access.can_enter:
        return access
    if access is not None:  # strangers are sent to the login, and learn nothing before it
        audit.record("chat.room.entered", target=room, outcome="denied")
    return None


def accesses_to(pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Access]:
    """Return what people may do in rooms, all anew from the database, by pairs of their ids and the rooms'.

    What `access_to` tells of one, in a number of queries that doesn't grow. What is gone isn't in it.
    """
    wanted = set(pairs)
    user_ids, room_ids = {user for user, _ in wanted}, {room for _, room in wanted}
    users, rooms = User.objects.in_bulk(user_ids), Room.objects.in_bulk(room_ids)
    moderators = User.objects.with_perm("chat.moderate_room").filter(pk__in=user_ids)
    moderator_ids = set(moderators.values_list("pk", flat=True))
    members = Member.objects.filter(room__in=room_ids, user__in=user_ids)
    roles = {(user, room): role for user, room, role in members.values_list("user_id", "room_id", "role")}
    in_force = Restriction.objects.filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=Now()),
        Q(room__in=room_ids) | Q(room__isnull=True),
        user__in=user_ids,
        lifted_at=None,
    )
    kinds: dict[tuple[int, int | None], set[str]] = {}
    for user_id, room_id, kind in in_force.values_list("user_id", "room_id", "kind"):
        kinds.setdefault((user_id, room_id), set()).add(kind)
    return {
        (user_id, room_id): Access(
            users[user_id],
            rooms[room_id],
            roles.get((user_id, room_id), ""),
            frozenset(kinds.get((user_id, room_id), set()) | kinds.get((user_id, None), set())),
            user_id in moderator_ids,
        )
        for user_id, room_id in wanted
        if user_id in users and room_id in rooms
    }


def restrictions_in_force(user: User) -> QuerySet[Restriction]:
    """Return the mutes and bans that hold for `user` now, by the database's clock."""
    return Restriction.objects.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=Now()), user=user, lifted_at=None)


def members_of(room: Room) -> QuerySet[Member]:
    """Return a room's members with their people, those first who came first."""
    return Member.objects.filter(room=room).select_related("user").order_by("joined_at", "pk")


def people_who_may_enter(room: Room, people: QuerySet[User]) -> list[User]:
    """Return those of `people` who may enter the room."""
    return list(_may_enter(room, people))


def people_to_name(user: User, room: Room, beginning: str) -> list[tuple[User, bool]]:
    """Return a few people whom `user` could name in a room, and whether they belong to it or talked there lately.

    Those come first: by the beginning of their username or of a word of their name. In a public room others follow, by
    their username alone.
    """
    spoke = Message.objects.filter(room=room).order_by("-sequence").values("author_id")[:_TALKED_LATELY]
    close = Member.objects.filter(room=room).order_by().values("user_id").union(spoke)
    others = _may_enter(room, User.objects.exclude(pk=user.pk)).order_by("username")
    is_called = (
        Q(username__istartswith=beginning)
        | Q(display_name__istartswith=beginning)
        | Q(display_name__icontains=f" {beginning}")
    )
    found = [(one, True) for one in others.filter(is_called, pk__in=close)[:MOST_SUGGESTED]]
    if room.kind == RoomKind.PUBLIC and beginning and len(found) < MOST_SUGGESTED:
        known = [one.pk for one, _ in found]
        is_called = Q(username__startswith=beginning) | Q(username__startswith=beginning.lower())
        more = others.filter(is_called).exclude(pk__in=known)
        found += [(one, False) for one in more[: MOST_SUGGESTED - len(found)]]
    return found


def _may_enter(room: Room, people: QuerySet[User]) -> QuerySet[User]:
    in_force = Restriction.objects.filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=Now()),
        Q(room=room) | Q(room__isnull=True),
        user=OuterRef("pk"),
        kind=RestrictionKind.BAN,
        lifted_at=None,
    )
    allowed = people.filter(~Exists(in_force), is_active=True)
    if room.kind != RoomKind.PUBLIC:
        allowed = allowed.filter(chat_memberships__room=room)
    return allowed


# --- messages --------------------------------------------------------------------------------------------------------


def with_all(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Return messages with all that is shown of them, in a number of queries that doesn't grow with theirs."""
    return messages.select_related("author").prefetch_related(
        Prefetch("reactions", Reaction.objects.order_by("pk")),
        Prefetch("pictures", Picture.objects.order_by("pk").prefetch_related("thumbnails")),
    )


def messages_after(room: Room, sequence: int, limit: int = PAGE_SIZE) -> list[Message]:
    """Return the first `limit` messages that follow number `sequence`, in order."""
    messages = with_all(room.messages.filter(sequence__gt=sequence))
    return list(messages.order_by("sequence")[: min(limit, LARGEST_PAGE)])


def messages_before(room: Room, sequence: int | None = None, limit: int = PAGE_SIZE) -> list[Message]:
    """Return the last `limit` messages ahead of number `sequence`, or of the end, in order."""
    messages = with_all(room.messages.all())
    if sequence is not None:
        messages = messages.filter(sequence__lt=sequence)
    return list(messages.order_by("-sequence")[: min(limit, LARGEST_PAGE)])[::-1]


def message_in(room: Room, message_id: int) -> Message | None:
    """Return one message of the room with all that is shown of it."""
    return with_all(room.messages.all()).filter(pk=message_id).first()


def pins_of(room: Room) -> list[Message]:
    """Return what is pinned in the room, what was pinned last first."""
    return list(with_all(room.messages.filter(pinned_at__isnull=False)).order_by("-pinned_at")[:MOST_PINS])


def search_messages(
    user: Visitor, words: str, *, room: Room | None = None, before: int | None = None, limit: int = PAGE_SIZE
) -> list[Message]:
    """Return the newest messages that hold the words, in all rooms that `user` may enter or in one, newest first.

    Words are joined by "and"; `"a phrase"`, `or` and `-not` work. `before` is the id of the last message known.
    """
    rooms = rooms_visible_to(user)
    if room is not None:
        rooms = rooms.filter(pk=room.pk)
    found = Message.objects.alias(found=SearchVector("body", config="simple")).filter(
        found=SearchQuery(words, config="simple", search_type="websearch"),
        room__in=rooms,
        deleted_at__isnull=True,
    )
    if before is not None:
        found = found.filter(pk__lt=before)
    return list(with_all(found).select_related("room").order_by("-pk")[: min(limit, LARGEST_PAGE)])


# --- read and unread -------------------------------------------------------------------------------------------------


def unread_of(user: User) -> list[dict[str, object]]:
    """Return how much `user` hasn't read, of each room that they belong to or have read in; counted up to a hundred."""
    own = Q(members__user=user) | Exists(ReadMark.objects.filter(room=OuterRef("pk"), user=user))
    rooms = list(rooms_visible_to(user).filter(own, archived_at=None).distinct().values_list("pk", flat=True))
    return _unread([(user.pk, room) for room in rooms]).get(user.pk, [])


def unread_in(user: User, room: Room) -> dict[str, object]:
    """Return how much `user` hasn't read in one room."""
    return _unread([(user.pk, room.pk)])[user.pk][0]


def has_read(user_id: int, url: str) -> bool:
    """Whether somebody has read the message at an address, as it's now."""
    message_id = url.rpartition("#message-")[2]
    if not message_id.isdecimal():
        return False
    messages = Message.objects.filter(pk=message_id, version__lte=OuterRef("sequence"), room=OuterRef("room"))
    return ReadMark.objects.filter(Exists(messages), user=user_id).exists()


def unread_of_people(user_ids: list[int], room_ids: list[int]) -> dict[int, list[dict[str, object]]]:
    """Return what `unread_of` tells, of these rooms alone, to each of these people whom any of them concerns."""
    with connection.cursor() as cursor:
        cursor.execute(statements.CONCERNED, {"users": user_ids, "rooms": room_ids})
        pairs = cursor.fetchall()
    accesses = accesses_to(pairs) if pairs else {}
    return _unread([pair for pair, access in accesses.items() if access.can_enter and not access.room.is_archived])


def _unread(pairs: list[tuple[int, int]]) -> dict[int, list[dict[str, object]]]:
    """Return how much is unread, by the person's id, for pairs of the ids of people and rooms."""
    told: dict[int, list[dict[str, object]]] = {}
    if not pairs:
        return told
    users, rooms = (list(ids) for ids in zip(*pairs, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(statements.UNREAD, {"users": users, "most": MOST_UNREAD, "rooms": rooms})
        for user_id, slug, read, last, unread, mentions in cursor.fetchall():
            row = {"room": slug, "read": read, "last_sequence": last, "unread": unread, "mentions": mentions}
            told.setdefault(user_id, []).append(row)
    return told


# --- moderation ------------------------------------------------------------------------------------------------------


def reports_visible_to(user: Visitor) -> QuerySet[Report]:
    """Return the reports that `user` looks after, newest first."""
    if not is_site_moderator(user):
        return Report.objects.none()
    return Report.objects.select_related("message__room", "message__author", "reporter").order_by("-pk")


def restrictions_visible_to(access: Access | None, user: Visitor) -> QuerySet[Restriction]:
    """Return the mutes and bans of a room to who moderates it; without a room all of them to site moderators."""
    everything = Restriction.objects.select_related("user", "room", "imposed_by").order_by("-pk")
    if access is not None:
        return everything.filter(room=access.room) if access.can_moderate else everything.none()
    return everything if is_site_moderator(user) else everything.none()


def users_named(names: Iterable[str]) -> QuerySet[User]:
    """Return people by their usernames."""
    return User.objects.filter(username__in=list(names))


def now() -> datetime:
    """Return the time, for rules about how old something is."""
    return timezone.now()
