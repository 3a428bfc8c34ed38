"""A worker's tries at a task. Each step is one statement, fenced by the attempt's number: duplicates can't cross."""

import random
import uuid
from typing import Any

import orjson
from celery import current_app
from celery.exceptions import MaxRetriesExceededError
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from audit.calls import number_from
from tasks import conf, metrics, statements
from tasks.attempt import note_stale
from tasks.errors import describe_error
from tasks.models import AttemptOutcome, Outcome, Queue, State, TaskRun
from telemetry import context
from telemetry.logs import get_logger
from telemetry.redaction import hide_in

log = get_logger(__name__)

LONGEST_BACKOFF_SECONDS = 300
_LARGEST_RESULT_BYTES = 16_384


def patience() -> float:
    """How long an attempt's end waits for the database: no longer than somebody else may begin with the run."""
    return conf.lease_seconds() / 2


_TRIED = {Outcome.SUCCEEDED: AttemptOutcome.SUCCEEDED, Outcome.CANCELLED: AttemptOutcome.CANCELLED}


@statements.reconnecting()
def claim_run(run_id: uuid.UUID, *, worker: str) -> int | None:
    """Begin an attempt of a waiting run and return its number; None where there's nothing to begin."""
    return number_from(
        "public.tasks_claim_v2",
        [str(run_id), worker[:200], context.current().trace_id[:32], str(conf.lease_seconds())],
    )


def set_aside(run_id: uuid.UUID, name: str) -> bool:
    """Deal with a message whose run couldn't be claimed, and note why; False where the run isn't known at all."""
    run = TaskRun.objects.filter(id=run_id).only("id", "queue", "state", "attempts", "max_attempts").first()
    if run is None:
        return False
    if run.state in (State.QUEUED, State.RETRYING):
        if run.attempts >= run.max_attempts:
            _bury(run_id, MaxRetriesExceededError("All attempts were used up."))
        elif Queue.objects.filter(name=run.queue, is_paused=True).exists():
            # It waits in the database: the sweep sends it once the queue goes on.
            TaskRun.objects.filter(id=run_id, outcome="", lease_expires_at=None).update(sent_at=None)
        return True
    metrics.DUPLICATES.labels(task=name).inc()
    TaskRun.objects.filter(id=run_id).update(duplicates=F("duplicates") + 1)
    log.info("tasks.duplicate_skipped", task_name=name, run_id=str(run_id))
    return True


@statements.reconnecting(patience)
def finish_run(
    run_id: uuid.UUID, attempt: int, outcome: Outcome, *, result: Any = None, error: BaseException | None = None
) -> bool:
    """End a run with its attempt; False where the attempt has lost its lease, and so nothing was written.

    A run that dies tells its dead-letter task, in the same transaction.
    """
    if outcome is Outcome.DEAD:
        with transaction.atomic():
            statements.limit_standstill()
            is_written = _write_end(run_id, attempt, outcome, None, error)
            if is_written:
                _tell_dead_letter(run_id)
    else:
        is_written = _write_end(run_id, attempt, outcome, _as_json(result), error)
    return is_written


@statements.reconnecting(patience)
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
    """End an attempt and let its run wait for the next; False where it doesn't wait.

    That is where the attempt has lost its lease, and where somebody has cancelled the run meanwhile: it ends then.
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
    if not rows:
        note_stale(run_id, attempt)
    return bool(rows and rows[0][0])


@statements.reconnecting()
@transaction.atomic
def lose_attempt(run_id: uuid.UUID, attempt: int, error: BaseException, *, is_expired: bool = False) -> bool:
    """Note that an attempt's worker is gone: the run is tried again, or dies where that was its last attempt.

    With `is_expired` it's only done if the lease is over still, and no transaction of the task has the run locked.
    Then nobody else tells those that wait for a failure, so it's done here, in the same transaction. Returns whether
    the run died.
    """
    statements.limit_standstill()
    held = TaskRun.objects.filter(id=run_id, attempts=attempt, outcome="", lease_expires_at__isnull=False)
    if is_expired:
        held = held.filter(lease_expires_at__lt=Now())
    run = held.select_for_update(no_key=True, skip_locked=is_expired).values("max_attempts", "name").first()
    if run is None:
        return False
    is_dead = attempt >= run["max_attempts"]
    if is_dead:
        _write_end(run_id, attempt, Outcome.DEAD, None, error, tried=AttemptOutcome.LOST)
        _tell_dead_letter(run_id)
        if is_expired:
            _tell_who_waits(run_id, error)
    else:
        back_off_run(run_id, attempt, outcome=AttemptOutcome.LOST, delay_seconds=backoff_seconds(attempt), error=error)
    metrics.LOST_ATTEMPTS.labels(task=run["name"]).inc()
    log.warning("tasks.attempt_lost", task_name=run["name"], run_id=str(run_id), attempt=attempt)
    return is_dead


@statements.reconnecting()
def attempt_of(run_id: uuid.UUID, *, worker: str) -> int | None:
    """Return the number of the attempt that `worker` is at with a run, if it is."""
    held = TaskRun.objects.filter(id=run_id, outcome="", lease_expires_at__isnull=False, worker=worker[:200])
    return held.values_list("attempts", flat=True).first()


@statements.reconnecting()
def expire_run(run_id: uuid.UUID, reason: str) -> None:
    """Cancel a run that never began, because it was revoked or its time is over."""
    waiting = TaskRun.objects.filter(id=run_id, outcome="", lease_expires_at=None)
    waiting.update(outcome=Outcome.CANCELLED, finished_at=Now(), error=reason[:200])


def backoff_seconds(attempt: int) -> float:
    """Return how long to wait after an attempt: twice as long each time, and never the same for two."""
    longest = conf.backoff_seconds() * 2.0 ** min(attempt - 1, 16)
    return min(LONGEST_BACKOFF_SECONDS, longest) * random.uniform(0.5, 1.0)  # noqa: S311


def _write_end(
    run_id: uuid.UUID,
    attempt: int,
    outcome: Outcome,
    result: str | None,
    error: BaseException | None,
    *,
    tried: AttemptOutcome | None = None,
) -> bool:
    tried = tried or _TRIED.get(outcome, AttemptOutcome.FAILED)
    number = number_from(
        "public.tasks_finish_v2",
        [str(run_id), str(attempt), outcome.value, tried.value, result, describe_error(error) if error else ""],
    )
    if number is None:
        note_stale(run_id, attempt)
    return number is not None


@transaction.atomic
def _bury(run_id: uuid.UUID, error: Exception) -> None:
    waiting = TaskRun.objects.filter(id=run_id, outcome="", lease_expires_at=None)
    if waiting.update(outcome=Outcome.DEAD, finished_at=Now(), error=str(error)):
        _tell_dead_letter(run_id)
        _tell_who_waits(run_id, error)


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
    try:
        with transaction.atomic():  # what is wrong with that task mustn't keep this one from ending
            task.apply_async((str(run_id),), unique_key=f"dead-letter:{run_id}")
    except Exception as error:
        log.error("tasks.dead_letter_failed", task_name=run["name"], run_id=str(run_id), error=describe_error(error))


def _tell_who_waits(run_id: uuid.UUID, error: BaseException) -> None:
    """Have Celery tell `link_error`, and what else follows a failure, where no process at work with a run can."""
    run = TaskRun.objects.only("id", "name", "message").get(id=run_id)
    try:
        with transaction.atomic():
            current_app.backend.tell_of_death(run, error)
    except Exception as failure:
        log.error("tasks.errback_failed", task_name=run.name, run_id=str(run_id), error=describe_error(failure))


def _as_json(result: Any) -> str | None:
    if result is None:
        return None
    try:
        text = orjson.dumps(hide_in(result), option=orjson.OPT_NON_STR_KEYS)  # people see it
    except TypeError:
        return None  # a result that has no JSON form is nobody's but the task's own
    if len(text) > _LARGEST_RESULT_BYTES:
        log.warning("tasks.result_dropped", bytes=len(text), limit_bytes=_LARGEST_RESULT_BYTES)
        return None
    return text.decode().replace("\\u0000", "")
