"""What the worker does with a notification that was asked for: it's written, grouped, and pushed to open pages."""

import uuid
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts.models import User
from notifications import metrics, queries
from notifications.kinds import Channels
from notifications.models import Notification
from notifications.push import group_of, push_to_group
from notifications.rules import one_line, require_topic, require_url
from notifications.sightings import has_seen
from telemetry import context

# So long nobody is mailed of what they may be reading on the page just now.
MAIL_GRACE = timedelta(minutes=3)


@transaction.atomic
def create_notification(
    recipient: User,
    *,
    kind: str,
    title: str,
    url: str,
    body: str = "",
    topic: str = "",
    topic_title: str = "",
    source_task_id: uuid.UUID | None = None,
) -> Notification | None:
    """Write a notification and push it to the recipient's open pages; once for each `source_task_id`.

    Returns what stands for it on pages: itself, or the unread one of the same kind and topic that it's grouped with.
    What the recipient has seen meanwhile is written as read, and told to nobody. None where they don't want to be told
    of this kind at all.

    Raises UnknownKindError, TopicError, and UnsafeUrlError where `url` leads off this site.
    """
    require_url(url)
    require_topic(topic, topic_title)
    channels = queries.channels_for(recipient, kind)
    queries.lock_person(recipient.pk)
    if source_task_id is not None:
        written = Notification.objects.filter(source_task_id=source_task_id).select_related("leader").first()
        if written is not None:
            return written.leader or written
    if channels.is_silent:
        return None
    is_seen = has_seen(recipient.pk, topic, url)
    leader = None if is_seen else _leader_of(recipient, kind, topic, channels)
    notification = Notification.objects.create(
        recipient=recipient,
        kind=kind,
        title=one_line(title, 200),
        body=one_line(body, 1_000),
        url=url[:500],
        topic=topic,
        topic_title=one_line(topic_title, 200),
        leader=leader,
        is_on_page=channels.page,
        request_id=context.current().request_id,
        source_task_id=source_task_id,
        **({"read_at": Now()} if is_seen else _mails_wanted(recipient, channels)),
    )
    if is_seen:
        return notification
    if leader is not None:
        Notification.objects.filter(pk=leader.pk).update(count=F("count") + 1, latest_at=Now())
        leader.refresh_from_db(fields=["count", "latest_at"])
    shown = leader or notification
    transaction.on_commit(partial(_tell_created, shown))
    return shown


def _leader_of(recipient: User, kind: str, topic: str, channels: Channels) -> Notification | None:
    """Return the unread notification that stands for this kind and topic, if there is one."""
    if not topic:
        return None
    unread = Notification.objects.filter(recipient=recipient, read_at__isnull=True, leader__isnull=True)
    return unread.filter(kind=kind, topic=topic, is_on_page=channels.page).first()


def _mails_wanted(recipient: User, channels: Channels) -> dict[str, Any]:
    if not recipient.email:
        return {}
    return {
        "email_due_at": Now() + MAIL_GRACE if channels.email else None,
        "digest": "" if channels.digest == "off" else channels.digest,
    }


def _tell_created(shown: Notification) -> None:
    metrics.CREATED.labels(kind=shown.kind).inc()
    if shown.is_on_page:
        push_to_group(
            group_of(shown.recipient_id), {"type": "notification.created", "notification": shown.as_message()}
        )
