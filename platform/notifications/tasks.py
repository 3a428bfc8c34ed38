"""Notifications are written and mailed by the worker, so that nobody's request waits for them."""

import uuid
from typing import Any

from celery import Task, shared_task
from celery.signals import worker_process_shutdown
from django.db import OperationalError

from accounts.models import User
from notifications import push
from notifications.delivery import actions as delivery
from notifications.errors import MailServerError
from notifications.mailing import actions as mailing
from notifications.models import MailKind
from telemetry.logs import get_logger

log = get_logger(__name__)

MAIL_QUEUE = "mail"


@shared_task(  # type: ignore[untyped-decorator]
    name="notifications.notify_user",
    bind=True,
    autoretry_for=(OperationalError,),
    retry_backoff=True,
    retry_backoff_max=60,
    retry_jitter=True,
    max_retries=5,
)
def notify_user(self: Task, *, recipient_id: int, **notification: str) -> None:
    """Write a notification and push it to the recipient's open pages."""
    recipient = User.objects.filter(pk=recipient_id).first()
    if recipient is None:
        log.info("notifications.recipient_gone", recipient_id=recipient_id)
        return
    source_task_id = uuid.UUID(self.request.id) if self.request.id else None
    delivery.create_notification(recipient, source_task_id=source_task_id, **notification)


@shared_task(name="notifications.prepare_mails", is_recorded=False, ignore_result=True)  # type: ignore[untyped-decorator]
def prepare_mails() -> int:
    """Have people mailed of what they haven't read for a while; beat asks every minute."""
    return mailing.prepare_mails(MailKind.SOON, _send_later)


@shared_task(name="notifications.prepare_digests")  # type: ignore[untyped-decorator]
def prepare_digests(kind: str) -> int:
    """Have the daily or weekly digests sent; goes on in another run where they are many."""
    count = mailing.prepare_mails(MailKind(kind), _send_later)
    if count >= mailing.MOST_PEOPLE:
        prepare_digests.apply_async(args=[kind], queue=MAIL_QUEUE)
    return count


@shared_task(  # type: ignore[untyped-decorator]
    name="notifications.send_mail",
    autoretry_for=(MailServerError, OperationalError),
    retry_backoff=15,
    retry_backoff_max=1_800,
    retry_jitter=True,
    max_retries=8,
)
def send_mail(mail_id: str) -> None:
    """Send one mail; a server that doesn't take it is asked again, for about an hour in all."""
    mailing.send_mail(uuid.UUID(mail_id))


def _send_later(mail_id: uuid.UUID) -> None:
    send_mail.apply_async(args=[str(mail_id)], queue=MAIL_QUEUE)


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def flush_pushes(**kwargs: Any) -> None:
    """A worker's child ends without Python's exit handlers: send what is queued."""
    push.flush()
