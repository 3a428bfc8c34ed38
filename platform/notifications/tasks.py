"""Notifications are written by the worker, so that nobody's request waits for them."""

import uuid
from typing import Any

from celery import Task, shared_task
from celery.signals import worker_process_shutdown
from django.db import OperationalError

from accounts.models import User
from notifications import push
from notifications.delivery import actions as delivery
from telemetry.logs import get_logger

log = get_logger(__name__)


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


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def flush_pushes(**kwargs: Any) -> None:
    """A worker's child ends without Python's exit handlers: send what is queued."""
    push.flush()
