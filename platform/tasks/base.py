"""The base class of all tasks: a task is a row first, and a message second."""

import contextvars
import sys
import uuid
from contextlib import nullcontext
from functools import partial
from typing import Any

import celery
from celery.exceptions import Ignore
from celery.result import AsyncResult
from django.db import transaction

from tasks import actions, messages
from telemetry.context import bind, current, new_request_id

# The row is safe already, so a caller doesn't wait long for a broker that is down.
_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}


class RecordedTask(celery.Task):  # type: ignore[misc]
    """A Celery task whose life is kept in `TaskRun`.

    `delay` and `apply_async` are used as ever, within a transaction too: the row is written in it, the message
    goes out after its commit, and a rollback leaves neither. Where the broker is down the caller doesn't notice;
    `tasks.publish_waiting` publishes later.

    Housekeeping that beat sends every few seconds sets `is_recorded=False`: it's plain Celery then.
    """

    is_recorded = True

    def apply_async(
        self,
        args: Any = None,
        kwargs: Any = None,
        task_id: str | None = None,
        **options: Any,
    ) -> AsyncResult:
        """Enqueue the task, with all of Celery's options; returns Celery's result with the task's id.

        Raises TypeError for wrong arguments, ValueError for a `task_id` that is no UUID, and celery's QueueNotFound.
        """
        if not self.is_recorded or self.app.conf.task_always_eager:
            return super().apply_async(args, kwargs, task_id=task_id, **options)
        args, kwargs = tuple(args or ()), dict(kwargs or {})
        options.setdefault("retry_policy", _RETRY_POLICY)
        if task_id and options.get("retries"):
            return self._send_next_attempt(args, kwargs, task_id, options)
        # What no request asks for, as beat's, gets an id here, so that row, message and what follows share it.
        with nullcontext() if current().request_id else bind(request_id=new_request_id()):
            return self._enqueue(args, kwargs, task_id, options)

    def _enqueue(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], task_id: str | None, options: dict[str, Any]
    ) -> AsyncResult:
        if self.typing and hasattr(self, "__header__"):
            self.__header__(*args, **kwargs)  # now, not after the commit
        run_id = _run_id(task_id) if task_id else uuid.UUID(new_request_id())
        options = messages.with_fixed_times(options)
        actions.record_run(
            run_id, name=self.name, queue=self._queue_of(options), args=args, kwargs=kwargs, options=options
        )
        send = partial(super().apply_async, args, kwargs, task_id=str(run_id), **options)
        # The context of this moment: the commit may come after the block that bound a reason or a span.
        publish = partial(contextvars.copy_context().run, actions.try_publish_run, run_id, self.name, send)
        transaction.on_commit(publish)
        return self.AsyncResult(str(run_id))

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Note the start; a duplicate message of a finished task ends here."""
        if not self.is_recorded:
            return
        delivery = self.request.delivery_info or {}
        is_new = actions.start_run(
            _run_id(task_id),
            name=self.name,
            queue=str(delivery.get("routing_key") or ""),
            args=args,
            kwargs=kwargs,
            worker=str(self.request.hostname or ""),
        )
        if not is_new:
            raise Ignore

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Note the success."""
        if self.is_recorded:
            actions.finish_run(_run_id(task_id))

    def on_failure(self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Note the failure of the last attempt."""
        if self.is_recorded:
            actions.finish_run(_run_id(task_id), error=exc)

    def _send_next_attempt(self, args: Any, kwargs: Any, task_id: str, options: dict[str, Any]) -> AsyncResult:
        """Publish a retry at once: the worker's task has a row, and its transaction may be rolling back."""
        run_id = _run_id(task_id)
        options = messages.with_fixed_times(options)
        actions.retry_run(run_id, error=sys.exc_info()[1])
        try:
            return super().apply_async(args, kwargs, task_id=task_id, **options)
        except Exception as error:
            actions.note_publish_failure(run_id, self.name, error)
            due_at = messages.as_time(options.get("eta"))
            actions.requeue_run(run_id, args=args, kwargs=kwargs, options=options, due_at=due_at)
            return self.AsyncResult(task_id)

    def _queue_of(self, options: dict[str, Any]) -> str:
        return messages.queue_name(self.app.amqp.router.route(dict(options), self.name).get("queue", ""))


def _run_id(task_id: str) -> uuid.UUID:
    try:
        return uuid.UUID(task_id)
    except ValueError:
        raise ValueError(f"A task's id is a UUID, and {task_id!r} is none.") from None
