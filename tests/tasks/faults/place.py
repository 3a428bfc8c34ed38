"""Real workers on servers that tests may restart, fill and empty; and what came of their tasks."""

import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import redis as redis_py
from django.db import connection

from config.embedded import addresses
from config.processes import Process, Program, stop_all, wait_for
from config.redis_urls import BROKER, with_database
from tasks.models import TaskRun

_ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Worker:
    """A real worker: a parent, and its children."""

    process: Process
    name: str

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children(recursive=True)

    def kill(self) -> None:
        """Kill parent and children at once, as a machine's end does."""
        os.killpg(self.pid, signal.SIGKILL)
        wait_for(lambda: not self.process.is_running, timeout_seconds=60)

    def freeze(self) -> None:
        """Let the whole worker stand still."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)


@dataclass
class Place:
    """The servers, and the workers that run on them."""

    local_dir: Path
    postgres: Process
    redis: Process
    workers: dict[str, Worker] = field(default_factory=dict)

    @property
    def broker(self) -> redis_py.Redis:
        return redis_py.Redis.from_url(with_database(addresses.redis_url(self.local_dir), BROKER))

    def start_workers(self, *names: str, concurrency: int = 1) -> list[Worker]:
        """Return running workers of these names; one that an earlier test left alive is taken as it is."""
        for name in names:
            if name not in self.workers or not self.workers[name].process.is_running:
                self.workers[name] = self._launch(name, concurrency)
        chosen = [self.workers[name] for name in names]
        for worker in chosen:
            ready = self.local_dir / f"{worker.name}.ready"
            if not wait_for(lambda: ready.exists() or not worker.process.is_running, timeout_seconds=60):  # noqa: B023
                pytest.fail("\n".join(worker.process.last_lines))
        return chosen

    def stop_workers(self, *but: str) -> None:
        """End all workers but these."""
        for name in set(self.workers) - set(but):
            worker = self.workers.pop(name)
            if worker.process.is_running:
                worker.kill()
            stop_all([worker.process])

    def replace(self, worker: Worker) -> None:
        """Kill a worker; another of its name is on its way at once, for the next test."""
        worker.kill()
        self.workers[worker.name] = self._launch(worker.name, 1)

    def holder_of(self, run: TaskRun) -> Worker:
        """Return the worker that is at a run."""
        run.refresh_from_db()
        return next(worker for worker in self.workers.values() if run.worker.endswith(f"/{worker.pid}"))

    def _launch(self, name: str, concurrency: int) -> Worker:
        ready = self.local_dir / f"{name}.ready"
        ready.unlink(missing_ok=True)
        arguments = [
            *("-m", "celery", "--quiet", "--app", "config.celery", "--skip-checks", "worker"),
            *("--concurrency", str(concurrency), "--loglevel", "WARNING", "--hostname", f"{name}@faults"),
            *("--include", "config.readiness", "--without-gossip", "--without-mingle"),
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(_ROOT / "platform"), str(_ROOT)]),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "ignore",
            "DJANGO_SETTINGS_MODULE": "tests.tasks.faults.settings",
            "LOCAL_DIR": str(self.local_dir),
            "GLASSHOUSE_PROCESS": "worker",
            "GLASSHOUSE_READY_FILE": str(ready),
        }
        program = Program(name=name, arguments=[sys.executable, *arguments], directory=_ROOT, environment=environment)
        return Worker(Process(program), name)


def effects() -> list[tuple[str, int]]:
    """Return the labels of all effects, each with how often it was made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT label, count(*) FROM fault_effects GROUP BY label ORDER BY label")
        return cursor.fetchall()


def tries(run: TaskRun) -> list[tuple[int, str]]:
    """Return the numbers and outcomes of a run's attempts."""
    return [(one.number, one.outcome) for one in run.tries]
