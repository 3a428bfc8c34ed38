"""How far somebody has read: moved forward, and told to their other open pages."""

from functools import partial

from django.db import connection, transaction

from accounts.models import User
from chat import news, queries, statements
from chat.models import Room
from notifications.actions import mark_topic_read
from notifications.push import push_to_group


def group_of_reader(user_id: int) -> str:
    """Return the channel-layer group of a person's open rooms."""
    return f"chat.user-{user_id}"


@transaction.atomic
def mark_read(room: Room, sequence: int, *, actor: User) -> dict[str, object]:
    """Note that the actor has read up to a number, never back from it; return what is unread there now."""
    with connection.cursor() as cursor:
        cursor.execute(statements.MARK_READ, {"user": actor.pk, "sequence": sequence, "room": room.pk})
        has_moved = cursor.rowcount > 0
    unread = queries.unread_in(actor, room)
    if has_moved:
        message = {"type": "read.marked", "frame": {"type": "read", **unread}}
        transaction.on_commit(partial(push_to_group, group_of_reader(actor.pk), message), robust=True)
        transaction.on_commit(partial(news.push_unread, actor.pk, unread), robust=True)
        if not unread["unread"]:
            mark_topic_read(actor, room.notification_topic)
    return unread
