"""What is asked for and done by people. Sockets hear of it after the commit."""

from collections.abc import Mapping
from functools import partial

from celery.result import AsyncResult
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from notifications import queries
from notifications.kinds import Channels, kind_named
from notifications.models import MailKind, Notification, Preference
from notifications.push import group_of, push_to_group
from notifications.rules import require_topic, require_url
from notifications.tasks import notify_user

QUEUE = "notifications"


def request_notification(
    recipient: User,
    *,
    kind: str,
    title: str,
    url: str,
    actor: User | None,
    body: str = "",
    topic: str = "",
    topic_title: str = "",
) -> AsyncResult | None:
    """Have `recipient` told of something by a background task; None where it's `actor`, who knows.

    An `actor` of None is nobody: what the house did by itself.

    `topic` is a key of what it's about, such as `blog.post-42`, and `topic_title` its name for people: while they are
    unread, notifications of a kind on a topic are one, "3 comments on “Clocks”".

    Raises UnknownKindError, TopicError, and UnsafeUrlError where `url` leads off this site.
    """
    kind_named(kind)
    require_url(url)
    require_topic(topic, topic_title)
    if actor is not None and recipient.pk == actor.pk:
        return None
    arguments = {
        "recipient_id": recipient.pk,
        "kind": kind,
        "title": title,
        "url": url,
        "body": body,
        "topic": topic,
        "topic_title": topic_title,
    }
    return notify_user.apply_async(kwargs=arguments, queue=QUEUE)


@transaction.atomic
def mark_read(notification: Notification, *, actor: User) -> None:
    """Mark a notification and all that it stands for as read, and tell all of the actor's open pages; once."""
    leader_id = notification.leader_id or notification.pk
    _mark(Notification.objects.filter(Q(pk=leader_id) | Q(leader=leader_id)), actor)


@transaction.atomic
def mark_all_read(user: User, *, actor: User) -> int:
    """Mark all of `user`'s notifications as read; returns how many were not."""
    return _mark(Notification.objects.filter(is_on_page=True), user)


@transaction.atomic
def mark_topic_read(user: User, topic: str) -> int:
    """Mark all of `user`'s notifications on a topic as read, where they have seen what it's about elsewhere."""
    return _mark(Notification.objects.filter(topic=topic), user)


def _mark(notifications: QuerySet[Notification], reader: User) -> int:
    # What is grouped with one of these meanwhile waits for the commit, and then begins a group of its own.
    queries.lock_person(reader.pk)
    unread = notifications.filter(recipient=reader, read_at__isnull=True)
    leaders = list(unread.filter(leader__isnull=True).values_list("pk", flat=True))
    if leaders:
        unread.update(read_at=timezone.now())
        message = {"type": "notification.read", "ids": leaders[:1_000]}
        transaction.on_commit(partial(push_to_group, group_of(reader.pk), message))
    return len(leaders)


@transaction.atomic
def choose_channels(user: User, chosen: Mapping[str, Channels], *, actor: User) -> int:
    """Keep how `user` wants to be told of the kinds in `chosen`; returns how many differ from before.

    What waits for a mail follows the new choice. Raises UnknownKindError, and PermissionError where `actor` is
    someone else.
    """
    if actor.pk != user.pk:
        raise PermissionError("People choose for themselves how they are told.")
    for kind in chosen:
        kind_named(kind)
    queries.lock_person(user.pk)
    before = queries.channels_of(user)
    changed = {kind: channels for kind, channels in chosen.items() if channels != before[kind]}
    for kind, channels in changed.items():
        fields = {"page": channels.page, "email": channels.email, "digest": channels.digest}
        Preference.objects.update_or_create(user=user, kind=kind, defaults=fields)
    return len(changed)


def stop_mails(user: User, mails: MailKind, *, actor: User) -> int:
    """End mails of one kind (at once, daily, weekly) for everything; returns for how many kinds they were on."""
    chosen = {}
    for kind, channels in queries.channels_of(user).items():
        if mails == MailKind.SOON:
            chosen[kind] = Channels(channels.page, email=False, digest=channels.digest)
        elif channels.digest == mails.value:
            chosen[kind] = Channels(channels.page, channels.email, digest="off")
    return choose_channels(user, chosen, actor=actor)
