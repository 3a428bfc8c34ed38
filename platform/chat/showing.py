"""What sockets and the API tell of rooms, messages and members: the same words in an event and when it's fetched."""

from collections.abc import Iterable
from typing import Any

from accounts.models import User
from chat.markdown import render_message
from chat.models import Member, Message, Room
from chat.rules import Access
from images.models import Picture

MESSAGE_FIELDS = (
    *("id", "sequence", "version", "author_id", "body", "html", "client_id", "reply_to_id", "mentions"),
    *("created_at", "edited_at", "deleted_at", "pinned_at"),
)


def room(one: Room) -> dict[str, Any]:
    """Return a room; all of it follows from its events."""
    return {
        "slug": one.slug,
        "name": one.name,
        "topic": one.topic,
        "kind": one.kind,
        "created_at": one.created_at.isoformat(),
        "archived_at": one.archived_at.isoformat() if one.archived_at else None,
    }


def message(one: Message) -> dict[str, Any]:
    """Return a message; its author, reactions and pictures should be loaded."""
    reactions: dict[str, list[int]] = {}
    for reaction in one.reactions.all():
        reactions.setdefault(reaction.emoji, []).append(reaction.user_id)
    return message_row(one, one.author, [picture(each) for each in one.pictures.all()], reactions)


def message_row(
    one: Any, author: User, pictures: list[dict[str, Any]], reactions: dict[str, list[int]]
) -> dict[str, Any]:
    """Return a message, or a row with its `MESSAGE_FIELDS`, together with what belongs to it."""
    return {
        "id": one.id,
        "sequence": one.sequence,
        "version": one.version or one.sequence,
        "author": {"id": author.pk, "name": author.name, "username": author.username},
        "body": one.body,
        "html": one.html or (render_message(one.body) if one.body else ""),  # of before there was Markdown
        "client_id": str(one.client_id) if one.client_id else None,
        "reply_to": one.reply_to_id,
        "mentions": one.mentions,
        "pictures": pictures,
        "reactions": reactions,
        "created_at": one.created_at.isoformat(),
        "edited_at": one.edited_at.isoformat() if one.edited_at else None,
        "deleted_at": one.deleted_at.isoformat() if one.deleted_at else None,
        "pinned_at": one.pinned_at.isoformat() if one.pinned_at else None,
    }


def picture(one: Picture) -> dict[str, Any]:
    """Return a picture that is ready."""
    thumbnails = one.srcset
    return {
        "id": one.pk,
        "url": one.file.url if one.file else None,
        "alt": one.alt,
        "width": one.width,
        "height": one.height,
        "srcset": thumbnails,
    }


def member(user_id: int, one: Member | None, name: str, username: str) -> dict[str, Any]:
    """Return a member, or that somebody is none any more: the role is None then."""
    return {"user": {"id": user_id, "name": name, "username": username}, "role": one.role if one else None}


def members(all_of_them: Iterable[Member]) -> list[dict[str, Any]]:
    """Return members, whose users should be loaded."""
    return [member(one.user_id, one, one.user.name, one.user.username) for one in all_of_them]


def you(access: Access) -> dict[str, Any]:
    """Return what somebody may do in a room."""
    return {
        "id": access.user.pk,
        "role": access.role or None,
        "can_write": access.can_write,
        "can_moderate": access.can_moderate,
        "can_own": access.can_own,
    }


def event(room_slug: str, sequence: int, kind: str, **what: Any) -> dict[str, Any]:
    """Return an event: `what` is the `message`, the `room_state` or the `member` as it's now."""
    return {"type": kind, "room": room_slug, "sequence": sequence, **what}
