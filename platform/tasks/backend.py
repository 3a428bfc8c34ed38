"""Celery's result backend: a task's row. It's where Celery, child and parent alike, says how an attempt ended."""

import uuid
from functools import partial
from typing import Any

from celery import states
from celery.app.task import Context
from celery.backends.base import BaseBackend
from celery.exceptions import Retry, TaskRevokedError, TimeLimitExceeded
from django.db import Error, InterfaceError, OperationalError, close_old_connections
from django.utils import timezone
from psycopg.errors import IdleInTransactionSessionTimeout

from tasks import messages, statements, worker
from tasks.actions import attempts, enqueuing
from tasks.attempt import attempt_of
from tasks.errors import TaskCancelledError, describe_error
from tasks.models import AttemptOutcome, Outcome, State, TaskRun
from telemetry.logs import get_logger

log = get_logger(__name__)

_CELERY_STATES = {
    State.QUEUED: states.PENDING,
    State.RUNNING: states.STARTED,
    State.RETRYING: states.RETRY,
    State.SUCCEEDED: states.SUCCESS,
    State.DEAD: states.FAILURE,
    State.CANCELLED: states.REVOKED,
}


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
        """The task raised in the child; or the parent has lost the child, or killed it for its time limit.

        What follows a failure (`link_error`, a chord's body) happens where the run is dead by it, and only then: not
        where it's tried again, nor where this attempt was stale.
        """
        attempt = attempt_of(request)
        if attempt is not None:
            is_dead = self._end_failed(attempt.run_id, attempt.number, exc)
        else:
            is_dead = _end_in_parent(task_id, exc)
        if is_dead:
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
            if attempts.finish_run(attempt.run_id, attempt.number, Outcome.DEAD, error=error):
                super().mark_as_failure(task_id, error or Retry(), traceback, request, store_result=False)
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
        """The message was revoked, or had expired when a worker took it; or the task was ended by `terminate=True`."""
        _end_revoked(task_id, str(reason))
        super().mark_as_revoked(task_id, reason, request, store_result=False, state=state)

    def tell_of_death(self, run: TaskRun, exc: BaseException) -> None:
        """Tell what follows a failure that a run died with which no worker was at work any more."""
        args, kwargs, options = messages.thaw(run.message or "")
        request = Context(
            id=str(run.id),
            task=run.name,
            args=args,
            kwargs=kwargs,
            errbacks=messages.links_of(options, "link_error"),
            delivery_info={},
            **{name: options.get(name) for name in ("chain", "chord", "root_id", "parent_id")},
        )
        super().mark_as_failure(str(run.id), exc, request=request, store_result=False)

    def _end_failed(self, run_id: uuid.UUID, number: int, exc: BaseException) -> bool:
        """Write a failed attempt down; returns whether its run died."""
        if isinstance(exc, TaskCancelledError):
            attempts.finish_run(run_id, number, Outcome.CANCELLED, error=exc)
            return False
        if _is_not_its_fault(exc) and number < _max_attempts(run_id):
            attempts.back_off_run(
                run_id,
                number,
                outcome=AttemptOutcome.RETRIED,
                delay_seconds=attempts.backoff_seconds(number),
                error=exc,
            )
            return False
        return attempts.finish_run(run_id, number, Outcome.DEAD, error=exc)

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


def _end_in_parent(task_id: str, exc: BaseException) -> bool:
    """Write down what became of a task whose child couldn't say it; returns whether that's a failure to be told."""
    close_old_connections()  # this process seldom asks the database anything
    try:
        run_id = uuid.UUID(task_id)
        if not TaskRun.objects.filter(id=run_id).exists():
            return True  # plain Celery
        number = attempts.attempt_of(run_id, worker=worker.name())
        if number is None:  # somebody else's by now, or finished
            return False
        if isinstance(exc, TimeLimitExceeded):
            return attempts.finish_run(run_id, number, Outcome.DEAD, error=exc)
        return attempts.lose_attempt(run_id, number, exc)
    except ValueError:
        return True
    except Error as error:  # the lease will end, and the sweep find it
        log.warning("tasks.end_not_written", run_id=task_id, error=describe_error(error))
        return False


def _end_revoked(task_id: str, reason: str) -> None:
    """Write down that a run was revoked, in the parent."""
    from celery.worker import state  # heavy, and only a worker has it

    try:
        run_id = uuid.UUID(task_id)
        number = attempts.attempt_of(run_id, worker=worker.name())
        if number is None:
            attempts.expire_run(run_id, reason)
        elif not state.should_terminate:  # else the worker gives it back
            attempts.finish_run(run_id, number, Outcome.CANCELLED, error=TaskRevokedError(reason))
    except (ValueError, Error) as error:
        log.warning("tasks.end_not_written", run_id=task_id, error=describe_error(error))
    # The row knows it now. Whoever retries the run wants this worker to take it.
    state.revoked.discard(task_id)


def _is_not_its_fault(exc: BaseException) -> bool:
    """Return whether the surroundings failed, not the task: it's tried again then, within its attempts."""
    return isinstance(exc, OperationalError | InterfaceError) or isinstance(
        exc.__cause__, IdleInTransactionSessionTimeout
    )


def _next_message(request: Any) -> Any:
    return getattr(request, "glasshouse_next", None)


@statements.reconnecting(attempts.patience)
def _max_attempts(run_id: uuid.UUID, most: int | None = None) -> int:
    """Return how often a run may be begun; `most` is what `retry(max_retries=…)` asked for instead."""
    if most is not None:
        TaskRun.objects.filter(id=run_id).exclude(max_attempts=most).update(max_attempts=most)
        return most
    return TaskRun.objects.filter(id=run_id).values_list("max_attempts", flat=True).first() or 0
