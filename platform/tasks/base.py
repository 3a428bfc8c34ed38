"""The base class of all tasks: a task is a row first, and a message second."""

import contextvars
import uuid
from contextlib import nullcontext
from functools import partial
from typing import Any

import celery
from celery.exceptions import Ignore
from celery.result import AsyncResult
from celery.utils.time import get_exponential_backoff_interval
from django.db import Error, connection, transaction

from tasks import messages, worker
from tasks.actions import attempts, enqueuing
from tasks.attempt import Attempt, keep
from tasks.errors import NotPossibleError, TaskCancelledError
from tasks.models import NO_LIMIT
from tasks.transport import ROW_HEADER
from telemetry.context import bind, current, new_request_id
from telemetry.logs import get_logger

log = get_logger(__name__)

# The row is safe already, so a caller doesn't wait long for a broker that is down.
_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}
_LONGEST_BACKOFF_SECONDS = 600
# A chord waits for its header by this task: were its message lost, nobody would ever call the body.
_RECORDED_BUILTINS = frozenset({"celery.chord_unlock"})


class RecordedTask(celery.Task):  # type: ignore[misc]
    """A Celery task whose life is kept in `TaskRun`.

    `delay` and `apply_async` are used as ever, within a transaction too: the row is written in it, the message
    goes out after its commit, and a rollback leaves neither. Where the broker is down the caller doesn't notice, and
    what is due in more than a minute waits in the database: the sweep sends it.

    What a task may say beside Celery's own options:
        `max_attempts`: how often it's begun at the most, lost workers included; by default one more than
            `max_retries`. With 1 it runs once or not at all.
        `unique`: True where an unfinished run of the same task with the same arguments is enough. A caller may give
            `unique_key="…"` instead.
        `dead_letter`: the name of a task that is enqueued with the run's id when this one is given up.
        `is_recorded=False`: plain Celery, for housekeeping that beat sends every few seconds.
    """

    is_recorded = True
    max_attempts: int | None = None
    unique = False
    dead_letter = ""
    # Retries wait longer each time, and no two alike, unless a task says otherwise.
    retry_backoff: Any = True
    retry_backoff_max = _LONGEST_BACKOFF_SECONDS
    retry_jitter = True
    throws = (TaskCancelledError,)
    # Celery would keep retries of tasks whose result nobody wants from the backend, and so from the row.
    store_errors_even_if_ignored = True

    def apply_async(
        self, args: Any = None, kwargs: Any = None, task_id: str | None = None, **options: Any
    ) -> AsyncResult:
        """Enqueue the task, with all of Celery's options and `unique_key`; returns Celery's result.

        Where an unfinished run has the key, or the id was used before, nothing is enqueued, and it's that run's
        result. Raises TypeError for wrong arguments, ValueError for a `task_id` that is no UUID or for arguments
        that are too long, and celery's QueueNotFound.
        """
        unique_key = options.pop("unique_key", "")
        if not self._has_row or self.app.conf.task_always_eager:
            return super().apply_async(args, kwargs, task_id=task_id, **options)
        args, kwargs = tuple(args or ()), dict(kwargs or {})
        options.setdefault("retry_policy", _RETRY_POLICY)
        if task_id and options.get("retries"):
            # The task's own transaction may be rolling back: the backend writes and sends it once that is over.
            self.request.glasshouse_next = (args, kwargs, self._options(options, task_id), super().apply_async)
            return self.AsyncResult(task_id)
        # What no request asks for, as beat's, gets an id here, so that row, message and what follows share it.
        with nullcontext() if current().request_id else bind(request_id=new_request_id()):
            return self._enqueue(args, kwargs, task_id, options, unique_key)

    def retry(self, *args: Any, eta: Any = None, countdown: Any = None, **options: Any) -> Any:
        """Ask for another attempt, as ever; without `eta` or `countdown` it waits longer each time."""
        if "max_retries" in options:
            most = options["max_retries"]
            self.request.glasshouse_most = NO_LIMIT if most is None else int(most) + 1
        if eta is None and countdown is None and self.retry_backoff:
            countdown = get_exponential_backoff_interval(
                factor=max(1, int(self.retry_backoff)),
                retries=self.request.retries,
                maximum=self.retry_backoff_max,
                full_jitter=self.retry_jitter,
            )
        return super().retry(*args, eta=eta, countdown=countdown, **options)

    def replace(self, sig: Any) -> Any:
        """Refuse: the row tells of one task, and of what it was asked for.

        Raises NotPossibleError.
        """
        if not self._has_row or self.request.is_eager:
            return super().replace(sig)
        raise NotPossibleError("A task with a row can't be replaced by another. Link the other to it, or make a chain.")

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Begin an attempt; a message whose run doesn't wait for one ends here."""
        if not self._has_row or self.request.is_eager:
            return
        run_id = _run_id(task_id)
        try:
            number = self._claim(run_id, args, kwargs)
        except Error as error:
            # No database, no task: its row waits, and the sweep sends another message.
            log.warning("tasks.claim_failed", run_id=task_id, task_name=self.name, error=type(error).__name__)
            raise Ignore from error
        if number is None:
            raise Ignore
        keep(self.request, Attempt(run_id, number))

    def _claim(self, run_id: uuid.UUID, args: Any, kwargs: Any) -> int | None:
        number = attempts.claim_run(run_id, worker=worker.name())
        if number is not None or attempts.set_aside(run_id, self.name):
            return number
        queue = str((self.request.delivery_info or {}).get("routing_key") or "")
        options = {**self.request.as_execution_options(), "queue": queue or None}
        del options["task_id"]
        enqueuing.adopt_run(
            run_id,
            name=self.name,
            queue=queue,
            args=args,
            kwargs=kwargs,
            options=options,
            max_attempts=self.most_attempts,
        )
        return attempts.claim_run(run_id, worker=worker.name())

    def _enqueue(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], task_id: str | None, options: dict[str, Any], key: str
    ) -> AsyncResult:
        if self.typing and hasattr(self, "__header__"):
            self.__header__(*args, **kwargs)  # now, not after the commit
        options = self._options(options, task_id)
        if not key and self.unique:
            key = messages.key_of(self.name, args, kwargs)
        run_id, is_to_be_sent = enqueuing.enqueue_run(
            _run_id(task_id) if task_id else uuid.UUID(new_request_id()),
            name=self.name,
            queue=self._queue_of(options),
            args=args,
            kwargs=kwargs,
            options=options,
            max_attempts=self.most_attempts,
            dead_letter=self.dead_letter,
            unique_key=key,
        )
        if is_to_be_sent:
            if connection.in_atomic_block:
                options.pop("producer", None)  # a group's: it's given back by the time of the commit
            send = partial(super().apply_async, args, kwargs, task_id=str(run_id), **options)
            # The context of this moment: the commit may come after the block that bound a reason or a span.
            publish = partial(contextvars.copy_context().run, enqueuing.send_or_put_back, run_id, self.name, send)
            transaction.on_commit(publish)
        return self.AsyncResult(str(run_id))

    def _options(self, options: dict[str, Any], task_id: str | None) -> dict[str, Any]:
        fixed = messages.with_fixed_links(messages.with_fixed_times(options))
        if task_id and "task_id" in fixed:
            del fixed["task_id"]
        if fixed.get("priority") is None and self.priority is not None:
            fixed["priority"] = self.priority
        fixed["headers"] = {**(fixed.get("headers") or {}), ROW_HEADER: True}
        return fixed

    def _queue_of(self, options: dict[str, Any]) -> str:
        return messages.queue_name(self.app.amqp.router.route(dict(options), self.name).get("queue", ""))

    @property
    def _has_row(self) -> bool:
        return self.is_recorded and (not self.name.startswith("celery.") or self.name in _RECORDED_BUILTINS)

    @property
    def most_attempts(self) -> int:
        """How often a run of it is begun at the most."""
        if self.max_attempts is not None:
            return self.max_attempts
        return NO_LIMIT if self.max_retries is None else int(self.max_retries) + 1


def _run_id(task_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(task_id)
    except ValueError:
        raise ValueError(f"A task's id is a UUID, and {task_id!r} is none.") from None
