"""What a crash, a lost message or a broker that was down left behind is found here and set going again."""

from datetime import timedelta
from typing import Any

from celery import current_app
from django.db import connection, transaction
from django.db.models.functions import Now
from kombu.exceptions import OperationalError as BrokerError

from tasks import conf, metrics, statements
from tasks.actions import attempts, enqueuing
from tasks.errors import describe_error
from tasks.models import TaskRun
from telemetry import context
from telemetry.celery import CONTEXT_HEADER
from telemetry.logs import get_logger

log = get_logger(__name__)

_MOST = 500
_LOCK = 0x7461736B  # one sweep at a time, over all workers


class LeaseExpiredError(Exception):
    """The worker didn't renew its lease: it's gone, or stands still."""


def sweep() -> int:
    """Take back what workers have lost, and send what is due; returns how many messages were sent."""
    expire_leases()
    return send_due()


def expire_leases() -> int:
    """End the attempts whose lease is over; returns how many were found."""
    expired = TaskRun.objects.filter(outcome="", lease_expires_at__lt=Now())
    found = list(expired.order_by("lease_expires_at").only("id", "attempts", "worker", "name", "carrier")[:_MOST])
    for run in found:
        error = LeaseExpiredError(f"{run.worker} didn't renew its lease")
        try:
            with context.use(_context_of(run)):
                attempts.lose_attempt(run.id, run.attempts, error, is_expired=True)
        except Exception as failure:  # one that can't be ended holds up no other
            log.error("tasks.expiry_failed", task_name=run.name, run_id=str(run.id), error=describe_error(failure))
    return len(found)


def send_due() -> int:
    """Send the messages of runs that are due and have none with the broker; returns how many."""
    empty_queues = _empty_queues(timedelta(seconds=conf.lost_seconds()))  # before: no transaction waits for a broker
    with transaction.atomic():
        statements.limit_standstill()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
            if cursor.fetchone() == (False,):
                return 0
        rows = statements.rows_of(
            "due",
            age_seconds=conf.unsent_seconds(),
            lost_seconds=conf.lost_seconds(),
            empty_queues=empty_queues,
            most=_MOST,
        )
    is_lost: dict[Any, bool] = dict(rows)
    runs = list(TaskRun.objects.filter(id__in=is_lost).order_by("priority", "enqueued_at"))
    sent = 0
    for position, run in enumerate(runs):
        try:
            enqueuing.send_again(run)
        except Exception as error:
            enqueuing.put_back(run.id, run.name, error)
            if isinstance(error, BrokerError):  # it would refuse the others as well, each after a while
                enqueuing.mark_unsent(later.id for later in runs[position + 1 :])
                break
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
