"""What a crash, a lost message or a broker that was down left behind is found here and set going again."""

from datetime import timedelta
from functools import partial
from typing import Any

from celery import current_app
from django.db import connection, transaction
from django.db.models.functions import Now

from tasks import metrics, statements
from tasks.actions import attempts, enqueuing
from tasks.models import TaskRun
from telemetry import context
from telemetry.celery import CONTEXT_HEADER
from telemetry.logs import get_logger

log = get_logger(__name__)

# Younger rows are their callers' to send.
UNSENT_AGE = timedelta(seconds=10)
LOST_AGE = timedelta(seconds=30)
_MOST = 500
_LOCK = 0x7461736B  # one sweep at a time, over all workers


class LeaseExpiredError(Exception):
    """The worker didn't renew its lease: it's gone, or stands still."""


def sweep(*, unsent_age: timedelta = UNSENT_AGE, lost_age: timedelta = LOST_AGE) -> int:
    """Take back what workers have lost, and send what is due; returns how many messages were sent."""
    expire_leases()
    return send_due(unsent_age=unsent_age, lost_age=lost_age)


def expire_leases() -> int:
    """End the attempts whose lease is over; returns how many there were."""
    expired = TaskRun.objects.filter(outcome="", lease_expires_at__lt=Now())
    found = list(expired.order_by("lease_expires_at").only("id", "attempts", "worker", "name", "carrier")[:_MOST])
    for run in found:
        with context.use(_context_of(run)):
            attempts.lose_attempt(run.id, run.attempts, LeaseExpiredError(f"{run.worker} didn't renew its lease"))
    return len(found)


def send_due(*, unsent_age: timedelta = UNSENT_AGE, lost_age: timedelta = LOST_AGE) -> int:
    """Send the messages of runs that are due and have none with the broker; returns how many."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
            if cursor.fetchone() == (False,):
                return 0
        rows = statements.rows_of(
            "due",
            age_seconds=unsent_age.total_seconds(),
            lost_seconds=lost_age.total_seconds(),
            empty_queues=_empty_queues(lost_age),
            most=_MOST,
        )
    is_lost: dict[Any, bool] = dict(rows)
    sent = 0
    for run in TaskRun.objects.filter(id__in=is_lost).order_by("priority", "enqueued_at"):
        if not enqueuing.send_or_put_back(run.id, run.name, partial(enqueuing.send_again, run)):
            continue
        sent += 1
        if is_lost[run.id]:
            metrics.REPUBLISHED.labels(task=run.name).inc()
            log.info("tasks.republished", task_name=run.name, run_id=str(run.id))
    return sent


def _empty_queues(lost_age: timedelta) -> list[str]:
    """Return the queues in which the broker holds no message at all; none where it doesn't answer."""
    waiting = TaskRun.objects.filter(outcome="", lease_expires_at=None, sent_at__lt=Now() - lost_age)
    names = list(waiting.order_by().values_list("queue", flat=True).distinct())
    if not any(names):
        return []
    try:
        with current_app.connection_for_write() as broker:
            channel = broker.channel()
            return [name for name in names if name and not _length_of(broker, channel, name)]
    except Exception as error:  # whatever a broker that is down raises; the next sweep asks again
        log.warning("tasks.broker_silent", error=type(error).__name__)
        return []


def _length_of(broker: Any, channel: Any, queue: str) -> int:
    try:
        return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except broker.channel_errors:  # it doesn't exist: in Redis, where it's empty
        return 0


def _context_of(run: TaskRun) -> context.Context:
    carried = run.carrier.get(CONTEXT_HEADER) or {}
    return context.from_carrier(carried, origin="task", operation="tasks.sweep", task_id=str(run.id))
