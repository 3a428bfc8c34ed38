"""A worker's tries at a task. Each step is one statement, fenced by the attempt's number: duplicates can't cross."""

import random
import uuid
from typing import Any

import orjson
from celery import current_app
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from tasks import metrics, statements
from tasks.errors import describe_error
from tasks.models import AttemptOutcome, Outcome, Queue, State, TaskRun
from telemetry import context
from telemetry.logs import get_logger

log = get_logger(__name__)

LEASE_SECONDS = 30
LONGEST_BACKOFF_SECONDS = 300
_LARGEST_RESULT_BYTES = 16_384

_TRIED = {Outcome.SUCCEEDED: AttemptOutcome.SUCCEEDED, Outcome.CANCELLED: AttemptOutcome.CANCELLED}


def claim_run(run_id: uuid.UUID, *, worker: str) -> int | None:
    """Begin an attempt of a waiting run and return its number; None where there's nothing to begin."""
    rows = statements.rows_of(
        "claim",
        run_id=run_id,
        worker=worker[:200],
        trace_id=context.current().trace_id[:32],
        lease_seconds=LEASE_SECONDS,
    )
    return int(rows[0][0]) if rows else None


def set_aside(run_id: uuid.UUID, name: str) -> bool:
    """Deal with a message whose run couldn't be claimed, and note why; False where the run isn't known at all."""
    run = TaskRun.objects.filter(id=run_id).only("id", "queue", "state", "attempts", "max_attempts").first()
    if run is None:
        return False
    if run.state in (State.QUEUED, State.RETRYING):
        if run.attempts >= run.max_attempts:
            _bury(run_id, "All attempts were used up.")
        elif Queue.objects.filter(name=run.queue, is_paused=True).exists():
            # It waits in the database: the sweep sends it once the queue goes on.
            TaskRun.objects.filter(id=run_id, outcome="", lease_expires_at=None).update(sent_at=None)
        return True
    metrics.DUPLICATES.labels(task=name).inc()
    TaskRun.objects.filter(id=run_id).update(duplicates=F("duplicates") + 1)
    log.info("tasks.duplicate_skipped", task_name=name, run_id=str(run_id))
    return True


def finish_run(
    run_id: uuid.UUID, attempt: int, outcome: Outcome, *, result: Any = None, error: BaseException | None = None
) -> bool:
    """End a run with its attempt; False where the attempt has lost its lease, and so nothing was written.

    A run that dies tells its dead-letter task, in the same transaction.
    """
    if outcome is Outcome.DEAD:
        with transaction.atomic():
            is_written = _write_end(run_id, attempt, outcome, None, error)
            if is_written:
                _tell_dead_letter(run_id)
    else:
        is_written = _write_end(run_id, attempt, outcome, _as_json(result), error)
    return is_written


def back_off_run(
    run_id: uuid.UUID,
    attempt: int,
    *,
    outcome: AttemptOutcome,
    delay_seconds: float,
    error: BaseException | None = None,
    message: str | None = None,
    is_sent: bool = False,
) -> bool:
    """End an attempt and let its run wait for the next; False where the attempt has lost its lease.

    `is_sent` says that the caller sends the next message, which is `message` where it differs from the last.
    """
    rows = statements.rows_of(
        "back_off",
        run_id=run_id,
        attempt=attempt,
        delay_seconds=delay_seconds,
        is_sent=is_sent,
        message=message,
        attempt_outcome=outcome.value,
        error=describe_error(error) if error else "",
    )
    return bool(rows) or _note_stale(run_id, attempt)


def lose_attempt(run_id: uuid.UUID, attempt: int, error: BaseException) -> None:
    """Note that an attempt's worker is gone: the run is tried again, or dies where that was its last attempt."""
    run = TaskRun.objects.filter(id=run_id).values("max_attempts", "name").first()
    if run is None:
        return
    if attempt >= run["max_attempts"]:
        with transaction.atomic():
            if _write_end(run_id, attempt, Outcome.DEAD, None, error, tried=AttemptOutcome.LOST):
                _tell_dead_letter(run_id)
    else:
        back_off_run(run_id, attempt, outcome=AttemptOutcome.LOST, delay_seconds=backoff_seconds(attempt), error=error)
    metrics.LOST_ATTEMPTS.labels(task=run["name"]).inc()
    log.warning("tasks.attempt_lost", task_name=run["name"], run_id=str(run_id), attempt=attempt)


def attempt_of(run_id: uuid.UUID, *, worker: str) -> int | None:
    """Return the number of the attempt that `worker` is at with a run, if it is."""
    held = TaskRun.objects.filter(id=run_id, outcome="", lease_expires_at__isnull=False, worker=worker[:200])
    return held.values_list("attempts", flat=True).first()


def expire_run(run_id: uuid.UUID, reason: str) -> None:
    """Cancel a run that never began, because it was revoked or its time is over."""
    waiting = TaskRun.objects.filter(id=run_id, outcome="", lease_expires_at=None)
    waiting.update(outcome=Outcome.CANCELLED, finished_at=timezone.now(), error=reason[:200])


def backoff_seconds(attempt: int) -> float:
    """Return how long to wait after an attempt: twice as long each time, and never the same for two."""
    return min(LONGEST_BACKOFF_SECONDS, 2.0 ** min(attempt, 16)) * random.uniform(0.5, 1.0)  # noqa: S311


def _write_end(
    run_id: uuid.UUID,
    attempt: int,
    outcome: Outcome,
    result: str | None,
    error: BaseException | None,
    *,
    tried: AttemptOutcome | None = None,
) -> bool:
    rows = statements.rows_of(
        "finish",
        run_id=run_id,
        attempt=attempt,
        outcome=outcome.value,
        attempt_outcome=(tried or _TRIED.get(outcome, AttemptOutcome.FAILED)).value,
        result=result,
        error=describe_error(error) if error else "",
    )
    return bool(rows) or _note_stale(run_id, attempt)


def _note_stale(run_id: uuid.UUID, attempt: int) -> bool:
    metrics.FENCED.inc()
    log.warning("tasks.stale_attempt", run_id=str(run_id), attempt=attempt)
    return False


@transaction.atomic
def _bury(run_id: uuid.UUID, error: str) -> None:
    waiting = TaskRun.objects.filter(id=run_id, outcome="", lease_expires_at=None)
    if waiting.update(outcome=Outcome.DEAD, finished_at=timezone.now(), error=error):
        _tell_dead_letter(run_id)


def _tell_dead_letter(run_id: uuid.UUID) -> None:
    run = TaskRun.objects.filter(id=run_id).values("name", "dead_letter").get()
    metrics.DEAD.labels(task=run["name"]).inc()
    log.error("tasks.died", task_name=run["name"], run_id=str(run_id))
    if not run["dead_letter"]:
        return
    task = current_app.tasks.get(run["dead_letter"])
    if task is None:
        log.error("tasks.dead_letter_unknown", task_name=run["name"], dead_letter=run["dead_letter"])
        return
    task.apply_async((str(run_id),), unique_key=f"dead-letter:{run_id}")


def _as_json(result: Any) -> str | None:
    if result is None:
        return None
    try:
        text = orjson.dumps(result)
    except TypeError:
        return None  # a result that has no JSON form is nobody's but the task's own
    return text.decode().replace("\\u0000", "") if len(text) <= _LARGEST_RESULT_BYTES else None
