"""Servers of these tests' own, and real workers, which they may kill."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections

from config.celery import app
from config.embedded import addresses, postgres, redis
from config.processes import Process, stop_all
from config.redis_urls import BROKER, for_kombu
from tasks.models import TaskRun
from tests.tasks.faults.place import Place

_SECONDS = 60


@pytest.fixture(autouse=True)
def _broker() -> None:
    """Don't start the suite's servers: these tests have their own."""


@pytest.fixture(scope="module")  # whatever is tested next wants its own servers back
def _place(django_db_blocker: Any) -> Iterator[Place]:
    local_dir: Path = settings.LOCAL_DIR / "faults"
    started: list[Process] = []
    urls = {name: for_kombu(addresses.redis_url(local_dir), BROKER) for name in ("broker_url", "broker_write_url")}
    with pytest.MonkeyPatch.context() as patched:
        for alias in ("default", "owner"):
            patched.setitem(connections.settings[alias], "HOST", str(addresses.socket_directory(local_dir)))
            connections[alias].close()
        for name, url in {**urls, "broker_read_url": urls["broker_url"]}.items():
            patched.setitem(app.conf, name, url)
        patched.setattr(app, "_pool", None)
        patched.setattr(app.amqp, "_producer_pool", None)
        try:
            started.append(postgres.start(local_dir, is_durable=False))
            started.append(redis.start(local_dir, is_durable=False))
            with django_db_blocker.unblock():
                call_command("migrate", database="owner", run_syncdb=True, verbosity=0)
            with postgres.connect(local_dir) as superuser:
                superuser.execute("CREATE TABLE IF NOT EXISTS fault_effects (label text, run_id uuid, attempt int)")
                superuser.execute(f"GRANT ALL ON fault_effects TO {addresses.APPLICATION_ROLE}")
            place = Place(local_dir, *started)
            yield place
            place.stop_workers()
            started[:] = [place.postgres, place.redis]  # tests may have replaced them
        finally:
            with django_db_blocker.unblock():
                connections.close_all()
            stop_all(started)


@pytest.fixture
def place(_place: Place, django_db_blocker: Any) -> Iterator[Place]:
    """Give servers without a task, and whichever workers live still."""
    with django_db_blocker.unblock():
        connection.close()
        TaskRun.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE fault_effects")
        yield _place
        for worker in _place.workers.values():
            with suppress(ProcessLookupError):
                worker.thaw()
        connection.close()
        if TaskRun.objects.filter(outcome="").exists():  # the test failed, and mustn't take the next one along
            _place.stop_workers()


@pytest.fixture
def gate(_place: Place) -> Path:
    """Give the path of a file for which tasks wait; `gate.touch()` lets them go on."""
    return _place.local_dir / f"{uuid.uuid4().hex}.gate"


@pytest.fixture
def is_at(wait_until: Any) -> Callable[..., int]:
    """Return a function that waits until an attempt of a task stands before a gate, and returns its process id."""

    def wait(gate: Path, attempt: int = 1) -> int:
        here = gate.with_suffix(f".at{attempt}")
        wait_until(here.exists, timeout=_SECONDS)
        return int(here.read_text())

    return wait


@pytest.fixture
def is_in(wait_until: Any) -> Callable[..., TaskRun]:
    """Return a function that waits until a run is in a state, and returns it."""

    def wait(run_id: Any, state: str, timeout: float = _SECONDS) -> TaskRun:
        def found() -> TaskRun | None:
            return TaskRun.objects.filter(id=run_id, state=state).first()

        run: TaskRun = wait_until(found, timeout=timeout)
        return run

    return wait
