"""What a worker's parent does beside Celery: it keeps the leases of its runs, and sweeps."""

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from celery import signals, states
from django.db import connection
from django.db.models.functions import Now

from tasks import conf, statements
from telemetry.context import SYSTEM, Context, new_request_id, use
from telemetry.logs import get_logger
from telemetry.tracing.work import unobserved

log = get_logger(__name__)

_name = f"process/{os.getpid()}"


def name() -> str:
    """Return what this worker's attempts are held by. Its children inherit it."""
    return _name


def connect() -> None:
    """Watch the worker that this process becomes, if it becomes one."""
    for signal, receiver in (
        (signals.worker_init, _take_name),
        (signals.worker_ready, _start),
        (signals.worker_shutdown, _stop),
        (signals.task_postrun, _end_unsaid),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"tasks.{receiver.__name__}")


class Keeper:
    """Its threads. They live in the parent, so what its children work at is kept as long as they live.

    A sweep waits for a broker that is slow, and leases can't wait: each has a thread of its own.
    """

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"tasks-{work.__name__}", daemon=True)
            for work in (renew, sweep)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and give back what the children were at: another worker goes on with it at once."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(conf.round_seconds())
        with _own_connection():
            release()

    def _run(self, work: Callable[[], object]) -> None:
        while not self._stopping.wait(conf.round_seconds()):
            with _own_connection():
                work()
        connection.close()


def sweep() -> None:
    """Take back what workers have lost, and send what is due."""
    from tasks.actions import sweeping  # its modules need the models, which this one is loaded before

    sweeping.sweep()


def renew() -> None:
    """Renew the leases of the runs that the children are at."""
    if run_ids := _active():
        statements.count_of("renew", run_ids=run_ids, worker=name(), lease_seconds=conf.lease_seconds())


def release() -> None:
    """Give up the leases that this worker still holds."""
    from tasks.models import TaskRun

    held = TaskRun.objects.filter(worker=name(), outcome="", lease_expires_at__isnull=False)
    held.update(lease_expires_at=Now())


@contextmanager
def _own_connection() -> Iterator[None]:
    """Run a block that nobody asked for, and that survives a database that is away."""
    with (
        unobserved(),
        use(Context(request_id=new_request_id(), origin="task", operation="tasks.keeper", actor_source=SYSTEM)),
    ):
        try:
            yield
        except Exception as error:
            log.warning("tasks.keeper_failed", error=f"{type(error).__name__}: {error}")
            connection.close()


def _active() -> list[uuid.UUID]:
    from celery.worker import state  # heavy, and only a worker has it

    for _ in range(3):
        try:
            return [uuid.UUID(request.id) for request in list(state.active_requests)]
        except RuntimeError:  # the main thread changed the set meanwhile
            continue
    return []


def _take_name(sender: Any = None, **kwargs: Any) -> None:
    global _name
    _name = f"{getattr(sender, 'hostname', None) or 'worker'}/{os.getpid()}"


def _end_unsaid(sender: Any = None, retval: Any = None, state: str = "", **kwargs: Any) -> None:
    """End the run of a task that raised Ignore or Reject: Celery tells no backend of that."""
    if state not in (states.IGNORED, states.REJECTED):
        return
    from tasks.actions import attempts
    from tasks.attempt import attempt_of
    from tasks.errors import StaleAttemptError
    from tasks.models import AttemptOutcome, Outcome

    attempt = attempt_of(sender.request)
    if attempt is None or isinstance(retval, StaleAttemptError):
        return
    if state == states.IGNORED:
        attempts.finish_run(attempt.run_id, attempt.number, Outcome.SUCCEEDED)
    elif retval.requeue:
        delay_seconds = attempts.backoff_seconds(attempt.number)
        attempts.back_off_run(
            attempt.run_id, attempt.number, outcome=AttemptOutcome.RETRIED, delay_seconds=delay_seconds, error=retval
        )
    else:
        attempts.finish_run(attempt.run_id, attempt.number, Outcome.DEAD, error=retval)


_keeper: Keeper | None = None


def _start(**kwargs: Any) -> None:
    global _keeper
    if _keeper is None:
        _keeper = Keeper()
        _keeper.start()


def _stop(**kwargs: Any) -> None:
    global _keeper
    keeper, _keeper = _keeper, None
    if keeper is not None:
        keeper.stop()
