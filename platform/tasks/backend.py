"""Celery's result backend: a task's row. It's where Celery, child and parent alike, says how an attempt ended."""

import uuid
from functools import partial
from typing import Any

from celery import states
from celery.backends.base import BaseBackend
from celery.exceptions import Retry, TimeLimitExceeded, WorkerLostError
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from tasks import messages, worker
from tasks.actions import attempts, enqueuing
from tasks.attempt import attempt_of
from tasks.errors import TaskCancelledError
from tasks.models import AttemptOutcome, Outcome, State, TaskRun

_CELERY_STATES = {
    State.QUEUED: states.PENDING,
    State.RUNNING: states.STARTED,
    State.RETRYING: states.RETRY,
    State.SUCCEEDED: states.SUCCESS,
    State.DEAD: states.FAILURE,
    State.CANCELLED: states.REVOKED,
}
# The surroundings failed, not the task: it's tried again, within its attempts.
_NOT_ITS_FAULT = (OperationalError, InterfaceError)


class TaskError(Exception):
    """What `AsyncResult.get()` raises for a task that died or was cancelled."""


class RunBackend(BaseBackend):  # type: ignore[misc]
    """Keeps what comes of tasks in `TaskRun`, so that `AsyncResult`, chains, groups and chords work as people know."""

    persistent = True

    def mark_as_done(
        self, task_id: str, result: Any, request: Any = None, store_result: bool = True, state: str = states.SUCCESS
    ) -> None:
        """The child has run the task to its end, and sent what follows it."""
        if _next_message(request) is not None:  # `retry(throw=False)`
            self.mark_as_retry(task_id, None, request=request)
            return
        if attempt := attempt_of(request):
            attempts.finish_run(attempt.run_id, attempt.number, Outcome.SUCCEEDED, result=result)
        super().mark_as_done(task_id, result, request, store_result=False, state=state)

    def mark_as_failure(
        self,
        task_id: str,
        exc: BaseException,
        traceback: Any = None,
        request: Any = None,
        store_result: bool = True,
        call_errbacks: bool = True,
        state: str = states.FAILURE,
    ) -> None:
        """The task raised in the child; or the parent has lost the child, or killed it for its time limit."""
        attempt = attempt_of(request)
        if attempt is not None:
            if self._end_failed(attempt.run_id, attempt.number, exc):
                return
        elif isinstance(exc, WorkerLostError | TimeLimitExceeded):
            run_id = uuid.UUID(task_id)
            number = attempts.attempt_of(run_id, worker=worker.name())
            if number is not None and isinstance(exc, WorkerLostError):
                attempts.lose_attempt(run_id, number, exc)
                return
            if number is not None:
                attempts.finish_run(run_id, number, Outcome.DEAD, error=exc)
        super().mark_as_failure(task_id, exc, traceback, request, False, call_errbacks, state)

    def mark_as_retry(
        self,
        task_id: str,
        exc: BaseException | None,
        traceback: Any = None,
        request: Any = None,
        store_result: bool = True,
        state: str = states.RETRY,
    ) -> None:
        """The task asked for another attempt, and its own transaction is over: now that can be written and sent."""
        attempt, following = attempt_of(request), _next_message(request)
        if attempt is None or following is None:
            return
        args, kwargs, options, send = following
        error = exc.exc if isinstance(exc, Retry) and exc.exc is not None else exc
        if attempt.number >= _max_attempts(attempt.run_id, getattr(request, "glasshouse_most", None)):
            attempts.finish_run(attempt.run_id, attempt.number, Outcome.DEAD, error=error)
            return
        eta = messages.as_time(options.get("eta"))
        is_sent = enqueuing.is_soon(eta)
        is_written = attempts.back_off_run(
            attempt.run_id,
            attempt.number,
            outcome=AttemptOutcome.RETRIED,
            delay_seconds=max(0.0, (eta - timezone.now()).total_seconds()) if eta else 0.0,
            error=error,
            message=messages.freeze(args, kwargs, options),
            is_sent=is_sent,
        )
        if is_written and is_sent:
            enqueuing.send_or_put_back(
                attempt.run_id, request.task, partial(send, args, kwargs, task_id=task_id, **options)
            )

    def mark_as_revoked(
        self,
        task_id: str,
        reason: str = "",
        request: Any = None,
        store_result: bool = True,
        state: str = states.REVOKED,
    ) -> None:
        """The message was revoked, or had expired when a worker took it."""
        attempts.expire_run(uuid.UUID(task_id), str(reason))
        super().mark_as_revoked(task_id, reason, request, store_result=False, state=state)

    def _end_failed(self, run_id: uuid.UUID, number: int, exc: BaseException) -> bool:
        """Write a failed attempt down; whether the run goes on, so that nothing that follows a failure happens."""
        if isinstance(exc, TaskCancelledError):
            attempts.finish_run(run_id, number, Outcome.CANCELLED, error=exc)
            return True
        if isinstance(exc, _NOT_ITS_FAULT) and number < _max_attempts(run_id):
            attempts.back_off_run(
                run_id,
                number,
                outcome=AttemptOutcome.RETRIED,
                delay_seconds=attempts.backoff_seconds(number),
                error=exc,
            )
            return True
        attempts.finish_run(run_id, number, Outcome.DEAD, error=exc)
        return False

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        """Return what Celery's results show; a failure's class isn't known any more, only what it said."""
        try:
            run = TaskRun.objects.only("state", "result", "error", "finished_at").get(id=uuid.UUID(str(task_id)))
        except (TaskRun.DoesNotExist, ValueError):
            return {"status": states.PENDING, "result": None}
        status = _CELERY_STATES[State(run.state)]
        result: Any = run.result
        if status in states.EXCEPTION_STATES and status != states.RETRY:
            result = TaskError(run.error)
        return {"status": status, "result": result, "traceback": None, "date_done": run.finished_at}

    def _store_result(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: what a task is at is written when it begins and ends."""


def _next_message(request: Any) -> Any:
    return getattr(request, "glasshouse_next", None)


def _max_attempts(run_id: uuid.UUID, most: int | None = None) -> int:
    """Return how often a run may be begun; `most` is what `retry(max_retries=…)` asked for instead."""
    if most is not None:
        TaskRun.objects.filter(id=run_id).update(max_attempts=most)
        return most
    return TaskRun.objects.filter(id=run_id).values_list("max_attempts", flat=True).first() or 0
