"""The life of a task, written down. Each step is one statement by id, so that duplicates can't cross."""

import contextlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from celery import current_app
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from kombu.exceptions import OperationalError

from tasks import messages, metrics
from tasks.models import FINISHED_STATES, LONGEST_ERROR, State, TaskRun
from telemetry import context
from telemetry.celery import carried_headers
from telemetry.logs import get_logger
from telemetry.redaction import hide

log = get_logger(__name__)

WAITING_AGE = timedelta(seconds=10)
_SWEEP_LIMIT = 500


def describe_error(error: BaseException) -> str:
    """Return an error's class and message without secrets, capped, in one line that PostgreSQL can store."""
    text = hide(messages.storable(f"{type(error).__name__}: {error}"))
    return " ".join(text.split())[:LONGEST_ERROR]


def record_run(
    run_id: uuid.UUID,
    *,
    name: str,
    queue: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    state: State = State.QUEUED,
    worker: str = "",
) -> TaskRun:
    """Insert the row of a task in the caller's transaction, with the context it was asked for in.

    Raises TypeError where an argument has no JSON form, and IntegrityError where the id was used before.
    """
    cause = context.current()
    actor = cause.actor
    is_running = state is State.RUNNING
    with transaction.atomic():
        return TaskRun.objects.create(
            id=run_id,
            name=name[:200],
            queue=queue[:100],
            state=state,
            arguments=messages.summarise(args, kwargs),
            message=messages.freeze(args, kwargs, options),
            carrier=carried_headers(),
            eta=messages.as_time(options.get("eta")),
            attempts=1 if is_running else 0,
            started_at=Now() if is_running else None,
            worker=worker[:200],
            request_id=cause.request_id,
            trace_id=cause.trace_id[:32],
            actor_type=actor.type[:20],
            actor_id=actor.id[:100],
            actor_label=actor.label[:200],
            parent_task_id=(cause.parent_task_id if is_running else cause.task_id)[:64],
        )


def publish_run(run_id: uuid.UUID, send: Callable[[], object]) -> bool:
    """Hand a queued task to the broker by `send`, and mark it; whether there was anything to do.

    The row stays locked until the broker has answered: the caller's publish and the sweeper's can't both send it,
    and what the broker refuses stays queued. Raises whatever `send` raises.
    """
    with transaction.atomic():
        is_waiting = TaskRun.objects.filter(id=run_id, state=State.QUEUED).update(
            state=State.PUBLISHED, published_at=Now()
        )
        if is_waiting:
            send()
    return bool(is_waiting)


def try_publish_run(run_id: uuid.UUID, name: str, send: Callable[[], object]) -> None:
    """Publish a task if the broker takes it; otherwise it stays queued, and the caller is not hurt."""
    try:
        publish_run(run_id, send)
    except Exception as error:
        note_publish_failure(run_id, name, error)


def note_publish_failure(run_id: uuid.UUID, name: str, error: Exception) -> None:
    """Log and count that the broker didn't take a task."""
    metrics.PUBLISH_FAILURES.labels(task=name).inc()
    log.warning("tasks.publish_failed", task_name=name, run_id=str(run_id), error=describe_error(error))


def publish_waiting(*, age: timedelta = WAITING_AGE) -> int:
    """Publish the tasks that a crash or a broker that was down left queued for longer than `age`; how many.

    Stops where the broker is down: the next sweep tries again.
    """
    waiting = TaskRun.objects.filter(state=State.QUEUED, enqueued_at__lt=Now() - age)
    published = 0
    for run in waiting.order_by("enqueued_at")[:_SWEEP_LIMIT]:
        try:
            if not publish_run(run.id, partial(_send_again, run)):
                continue
        except OperationalError as error:
            note_publish_failure(run.id, run.name, error)
            break
        except Exception as error:  # something is wrong with this one; the others don't wait for it
            note_publish_failure(run.id, run.name, error)
            continue
        published += 1
        metrics.REPUBLISHED.labels(task=run.name).inc()
        log.info("tasks.republished", task_name=run.name, run_id=str(run.id))
    return published


def start_run(
    run_id: uuid.UUID, *, name: str, queue: str, args: Sequence[Any], kwargs: Mapping[str, Any], worker: str
) -> bool:
    """Note that a worker begins with a task; False where it is finished already, and so not to be run again.

    A task that was sent without a row (by name, from elsewhere) gets its row here.
    """
    run = TaskRun.objects.filter(id=run_id)
    while True:  # again where someone else inserted the row in between
        is_started = run.exclude(state__in=FINISHED_STATES).update(
            state=State.RUNNING, started_at=Now(), attempts=F("attempts") + 1, worker=worker[:200]
        )
        if is_started:
            return True
        state = run.values_list("state", flat=True).first()
        if state in FINISHED_STATES:
            metrics.DUPLICATES.labels(task=name).inc()
            log.info("tasks.duplicate_skipped", task_name=name, run_id=str(run_id))
            return False
        if state is None:
            with contextlib.suppress(IntegrityError):
                record_run(
                    run_id,
                    name=name,
                    queue=queue,
                    args=args,
                    kwargs=kwargs,
                    options={},
                    state=State.RUNNING,
                    worker=worker,
                )
                return True


def retry_run(run_id: uuid.UUID, *, error: BaseException | None) -> None:
    """Note that a task's attempt failed, and that it is to be tried again."""
    TaskRun.objects.filter(id=run_id, state=State.RUNNING).update(
        state=State.RETRYING, error=describe_error(error) if error else ""
    )


def requeue_run(
    run_id: uuid.UUID,
    *,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    due_at: datetime | None,
) -> None:
    """Put a task whose next attempt the broker didn't take back among those that the sweeper publishes."""
    TaskRun.objects.filter(id=run_id).exclude(state__in=FINISHED_STATES).update(
        state=State.QUEUED, message=messages.freeze(args, kwargs, options), eta=due_at
    )


def finish_run(run_id: uuid.UUID, *, error: BaseException | None = None) -> None:
    """Note a task's end: failed where there is an `error`, which keeps the message, else succeeded."""
    unfinished = TaskRun.objects.filter(id=run_id).exclude(state__in=FINISHED_STATES)
    if error is None:
        unfinished.update(state=State.SUCCEEDED, finished_at=Now(), error="", message=None)
    else:
        unfinished.update(state=State.FAILED, finished_at=Now(), error=describe_error(error))


def _send_again(run: TaskRun) -> None:
    args, kwargs, options = messages.thaw(run.message or "")
    # The context and trace that it was asked for in, not the sweep's.
    options["headers"] = {**options.get("headers", {}), **run.carrier}
    current_app.send_task(run.name, args, kwargs, task_id=str(run.id), add_to_parent=False, **options)
