"""What a worker's parent does beside Celery: it keeps the leases of its runs, and sweeps. One thread for both."""

import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import signals
from django.db import connection
from django.db.models.functions import Now

from tasks import statements
from telemetry.context import SYSTEM, Context, new_request_id, use
from telemetry.logs import get_logger
from telemetry.tracing.work import unobserved

log = get_logger(__name__)

ROUND_SECONDS = 5.0
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
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"tasks.{receiver.__name__}")


class Keeper:
    """The thread. It lives in the parent, so what its children work at is kept as long as they live."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tasks-keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and give back what the children were at: another worker goes on with it at once."""
        self._stopping.set()
        self._thread.join(ROUND_SECONDS)
        with _own_connection():
            release()

    def _run(self) -> None:
        while not self._stopping.wait(ROUND_SECONDS):
            with _own_connection():
                keep()
        connection.close()


def keep() -> None:
    """Do what is done every few seconds, once: first the leases, then the sweep."""
    from tasks.actions import sweeping  # its modules need the models, which this one is loaded before

    renew()
    sweeping.sweep()


def renew() -> None:
    """Renew the leases of the runs that the children are at."""
    if run_ids := _active():
        from tasks.actions.attempts import LEASE_SECONDS

        statements.count_of("renew", run_ids=run_ids, worker=name(), lease_seconds=LEASE_SECONDS)


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
