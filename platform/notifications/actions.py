"""What is done with notifications. Sockets hear of it after the commit."""

import uuid
from functools import partial

from celery.result import AsyncResult
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from notifications import metrics
from notifications.errors import UnsafeUrlError
from notifications.models import Notification
from notifications.push import push_to_group
from telemetry import context

QUEUE = "notifications"


def group_of(user_id: int) -> str:
    """Return the channel-layer group of a person's open pages."""
    return f"notifications.user-{user_id}"


def request_notification(
    recipient: User, *, kind: str, title: str, url: str, actor: User, body: str = ""
) -> AsyncResult | None:
    """Have `recipient` told of something by a background task; None where it's `actor`, who knows.

    Raises UnsafeUrlError where `url` leads off this site.
    """
    from notifications.tasks import notify_user  # the task calls back to this module

    _check_url(url)
    if recipient.pk == actor.pk:
        return None
    arguments = {"recipient_id": recipient.pk, "kind": kind, "title": title, "url": url, "body": body}
    return notify_user.apply_async(kwargs=arguments, queue=QUEUE)


@transaction.atomic
def create_notification(
    recipient: User, *, kind: str, title: str, url: str, body: str = "", source_task_id: uuid.UUID | None = None
) -> Notification:
    """Write a notification and push it to the recipient's open pages; once for each `source_task_id`.

    Raises UnsafeUrlError where `url` leads off this site.
    """
    _check_url(url)
    fields = {
        "recipient": recipient,
        "kind": kind[:50],
        "title": _one_line(title, 200),
        "body": _one_line(body, 1_000),
        "url": url[:500],
        "request_id": context.current().request_id,
    }
    if source_task_id is None:
        notification, is_new = Notification.objects.create(**fields), True
    else:
        notification, is_new = Notification.objects.get_or_create(source_task_id=source_task_id, defaults=fields)
    if is_new:
        transaction.on_commit(partial(_tell_created, notification))
    return notification


@transaction.atomic
def mark_read(notification: Notification, *, actor: User) -> None:
    """Mark a notification as read, and tell all of the actor's open pages; once."""
    unread = Notification.objects.filter(pk=notification.pk, recipient=actor, read_at__isnull=True)
    if unread.update(read_at=timezone.now()):
        _tell_read([notification.pk], actor)


@transaction.atomic
def mark_all_read(user: User, *, actor: User) -> int:
    """Mark all of `user`'s notifications as read; returns how many were not."""
    unread = Notification.objects.filter(recipient=user, read_at__isnull=True)
    # What arrives in between stays unread: only those seen here are marked.
    ids = list(unread.select_for_update().values_list("pk", flat=True))
    if ids:
        Notification.objects.filter(pk__in=ids).update(read_at=timezone.now())
        _tell_read(ids, user)
    return len(ids)


def _tell_created(notification: Notification) -> None:
    metrics.CREATED.labels(kind=notification.kind).inc()
    message = {"type": "notification.created", "notification": notification.as_message()}
    push_to_group(group_of(notification.recipient_id), message)


def _tell_read(ids: list[int], reader: User) -> None:
    message = {"type": "notification.read", "ids": ids[:1_000]}
    transaction.on_commit(partial(push_to_group, group_of(reader.pk), message))


def _check_url(url: str) -> None:
    if url and (not url.startswith("/") or url.startswith(("//", "/\\")) or not url.isprintable()):
        raise UnsafeUrlError(UnsafeUrlError.__doc__)


def _one_line(text: str, length: int) -> str:
    """People's words end up in titles: one line, without what PostgreSQL can't store, cut with a sign of it."""
    line = " ".join(text.replace("\x00", "").split())
    return line if len(line) <= length else line[: length - 1] + "…"
