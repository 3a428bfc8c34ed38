"""Requests, as the worker's parent holds them: it alone sees a time-out by force, a lost child and a revocation.

So how tasks end is counted here, each end once, and what a child couldn't live to tell is told here.
"""

import time
from random import getrandbits
from typing import Any

from celery.exceptions import Ignore, Reject, Retry, Terminated, TimeLimitExceeded, WorkerLostError
from celery.worker.request import ExceptionWithTraceback, Request

from telemetry.celery import metrics
from telemetry.celery.carriers import IDS_HEADER
from telemetry.celery.runs import mark_failed, open_run, tell_run
from telemetry.faults import fails_open
from telemetry.tracing.work import Work

# With these the child is gone, and has told nothing.
_DEADLY = (WorkerLostError, TimeLimitExceeded, Terminated, SystemExit, KeyboardInterrupt)
_STATES = {"revoked": "REVOKED", "rejected": "REJECTED", "retried": "RETRY", "succeeded": "SUCCESS"}


class WatchedRequest(Request):  # type: ignore[misc]
    """One message in the worker's parent, from its arrival to its end."""

    _end = ""  # how it ended, once it has
    _is_active = False
    _work: Work | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._request_dict[IDS_HEADER] = f"{getrandbits(192) or 1:048x}"
        self._count_received()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # Celery makes a subclass for each task, with an `on_success` that calls none of this class.
        super().__init_subclass__(**kwargs)
        finish = cls.on_success

        def on_success(self: WatchedRequest, failed__retval__runtime: Any, **kwargs: Any) -> Any:
            if not failed__retval__runtime[0]:
                self._count_end("succeeded")
            return finish(self, failed__retval__runtime, **kwargs)

        cls.on_success = on_success

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """A child has begun with it."""
        self._count_start()
        super().on_accepted(pid, time_accepted)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Its time is over; a soft time-out is an exception in the child, which goes on."""
        super().on_timeout(soft, timeout)
        if not soft:
            self._count_end("failed", TimeLimitExceeded(timeout))

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """It ended with an exception; `return_ok` says that the child has brought it to its end."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        if not return_ok and not self._end and isinstance(error, _DEADLY):
            return self._fail_for_the_child(error, exc_info, send_failed_event)
        self._count_end(_end_of(error), error)
        return super().on_failure(exc_info, send_failed_event, return_ok)

    def reject(self, requeue: bool = False) -> None:
        """Give the message back, or refuse it."""
        if requeue and not self.acknowledged:
            self._count_end("rejected")
        super().reject(requeue)

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        is_first = not self._end
        self._count_end("revoked", reason=reason)
        super()._announce_revoked(reason, terminated, signum, expired)
        if is_first and self._work is None:
            self._begin_work()
            self._end_work(Terminated(signum) if terminated else None)

    def _announce_cancelled(self, emit_retry: bool = True) -> None:
        self._count_end("retried")  # the connection was lost: the broker delivers it again
        super()._announce_cancelled(emit_retry)

    def _retry_worker_lost(self, exc: BaseException, exc_info: Any) -> bool:
        is_retried = bool(super()._retry_worker_lost(exc, exc_info))
        if is_retried:
            self._count_end("retried", exc)
        return is_retried

    def _success_was_stored(self) -> Any:
        stored = super()._success_was_stored()
        if stored:
            self._count_end("succeeded")
        return stored

    def _fail_for_the_child(self, error: BaseException, exc_info: Any, send_failed_event: bool) -> Any:
        self._begin_work()  # around, so that errbacks published here belong to it
        try:
            return super().on_failure(exc_info, send_failed_event, False)
        finally:
            if isinstance(error, SystemExit | KeyboardInterrupt):
                error = WorkerLostError(f"The process exited: {error!r}")
            self._count_end("failed", error)
            self._end_work(error)

    @fails_open("celery.count_received")
    def _count_received(self) -> None:
        metrics.received(self._task.name).inc()

    @fails_open("celery.count_start")
    def _count_start(self) -> None:
        metrics.started(self._task.name).inc()
        metrics.active(self._task.name).inc()
        self._is_active = True

    @fails_open("celery.count_end")
    def _count_end(self, end: str, error: BaseException | None = None, *, reason: str = "") -> None:
        """Count how it ended; the first end is the one."""
        if self._end:
            return
        self._end = end
        name = self._task.name
        if self._is_active:
            self._is_active = False
            metrics.active(name).dec()
        if end == "succeeded":
            metrics.succeeded(name).inc()
        elif end == "failed":
            metrics.FAILED.labels(name, metrics.exception_label(error) if error is not None else metrics.OTHER).inc()
        elif end == "retried":
            cause = getattr(error, "exc", None) or error
            metrics.RETRIED.labels(name, metrics.exception_label(cause) if cause is not None else "").inc()
        elif end == "rejected":
            metrics.REJECTED.labels(name).inc()
        elif end == "revoked":
            metrics.REVOKED.labels(name, reason).inc()

    @fails_open("celery.begin_work")
    def _begin_work(self) -> None:
        now = time.time()
        began = self.time_start or now
        work, context = open_run(self._task.name, self._context, began)
        elapsed_ns = max(0, round((now - began) * 1e9))
        work.begun_ns -= elapsed_ns
        work.span.start_ns -= elapsed_ns
        work.enter(context)
        self._work = work

    @fails_open("celery.end_work")
    def _end_work(self, error: BaseException | None) -> None:
        work, self._work = self._work, None
        if work is None:
            return
        try:
            if error is not None:
                mark_failed(work, error)
            state = _STATES.get(self._end, "FAILURE")
            tell_run(work, self._task, self._context, state)
        finally:
            work.leave()


def _end_of(error: BaseException) -> str:
    if isinstance(error, Retry):
        return "retried"
    if isinstance(error, Reject):
        return "rejected"
    return "ignored" if isinstance(error, Ignore) else "failed"
