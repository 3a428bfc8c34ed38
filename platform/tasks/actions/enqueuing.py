"""Asking for a task: its row in the caller's transaction, its message after the commit."""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.db import Error
from django.utils import timezone

from audit.calls import number_from
from tasks import messages, metrics
from tasks.errors import NotPossibleError, describe_error
from tasks.models import TaskRun
from telemetry import context
from telemetry.celery import carried_headers
from telemetry.logs import get_logger

log = get_logger(__name__)

# What is due later than this waits in the database: a worker would hold it in memory, and Redis deliver it twice.
LONGEST_BROKER_DELAY = timedelta(seconds=60)
_MOST_TRIES = 3


def enqueue_run(
    run_id: uuid.UUID,
    *,
    name: str,
    queue: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    max_attempts: int,
    dead_letter: str = "",
    unique_key: str = "",
) -> tuple[uuid.UUID, bool]:
    """Insert the row of a task in the caller's transaction, with the context it's asked for in.

    Returns the run's id, and whether its message is to be sent after the commit. Where the given id was used before,
    or an unfinished run has the unique key, it's that run's id, and nothing is to be sent.
    Raises TypeError where an argument has no JSON form, and NotPossibleError where that run isn't to be seen.
    """
    cause = context.current()
    actor = cause.actor
    eta = messages.as_time(options.get("eta"))
    is_sent = is_soon(eta)
    row = [  # in the order of the function's parameters
        str(run_id),
        name[:200],
        queue[:100],
        str(int(options.get("priority") or 0)),
        json.dumps(messages.summarise(args, kwargs)),
        messages.freeze(args, kwargs, options),
        json.dumps(carried_headers()),
        unique_key[:200],
        dead_letter,
        str(max_attempts),
        eta.isoformat() if eta else None,
        str(is_sent),
        cause.request_id,
        cause.trace_id[:32],
        actor.type[:20],
        actor.id[:100],
        actor.label[:200],
        cause.task_id[:64],
    ]
    for _ in range(_MOST_TRIES):
        if number_from("public.tasks_enqueue_v1", row):
            return run_id, is_sent
        existing = _existing_run(run_id, unique_key)
        if existing is not None:  # else the one that had the key has finished between the two statements
            log.info("tasks.already_enqueued", task_name=name, run_id=str(existing))
            return existing, False
    raise NotPossibleError(f"Another transaction holds the key {unique_key!r}; this one doesn't see its task.")


def adopt_run(
    run_id: uuid.UUID,
    *,
    name: str,
    queue: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    max_attempts: int,
) -> None:
    """Insert the row of a task that was sent without one, by name and from elsewhere; its worker calls this."""
    cause = context.current()
    with context.bind(task_id=cause.parent_task_id):
        enqueue_run(
            run_id,
            name=name,
            queue=queue,
            args=args,
            kwargs=kwargs,
            options=options,
            max_attempts=max_attempts,
        )


def send_or_put_back(run_id: uuid.UUID, name: str, send: Callable[[], object]) -> bool:
    """Hand a run's message to the broker; what it doesn't take is left to the sweep, and the caller isn't hurt."""
    try:
        send()
    except Exception as error:
        put_back(run_id, name, error)
        return False
    return True


def put_back(run_id: uuid.UUID, name: str, error: Exception) -> None:
    """Note that the broker didn't take a run's message: the sweep sends it."""
    metrics.PUBLISH_FAILURES.labels(task=name).inc()
    log.warning("tasks.publish_failed", task_name=name, run_id=str(run_id), error=describe_error(error))
    try:
        mark_unsent([run_id])
    except Error as failure:
        # Neither broker nor database: the row says that it was sent, and the sweep finds that it's lost.
        log.warning("tasks.put_back_failed", task_name=name, run_id=str(run_id), error=describe_error(failure))


def mark_unsent(run_ids: Iterable[uuid.UUID]) -> None:
    """Note that the broker has no message of runs that wait."""
    TaskRun.objects.filter(id__in=list(run_ids), outcome="", lease_expires_at=None).update(sent_at=None)


def send_again(run: TaskRun) -> None:
    """Send a run's message as it was written down; what it had to wait for is over. Raises what the broker raises."""
    args, kwargs, options = messages.thaw(run.message or "")
    options.pop("eta", None)
    # The context and trace that it was asked for in, not the sweep's.
    options["headers"] = {**options.get("headers", {}), **run.carrier}
    current_app.send_task(run.name, args, kwargs, task_id=str(run.id), add_to_parent=False, **options)


def is_soon(eta: datetime | None) -> bool:
    """Return whether the broker may keep a message until `eta`."""
    return eta is None or eta - timezone.now() <= LONGEST_BROKER_DELAY


def _existing_run(run_id: uuid.UUID, unique_key: str) -> uuid.UUID | None:
    if TaskRun.objects.filter(id=run_id).exists():
        return run_id
    if not unique_key:
        return None
    return TaskRun.objects.filter(unique_key=unique_key, outcome="").values_list("id", flat=True).first()
