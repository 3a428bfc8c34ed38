"""Tasks to which things happen. Each effect is a row, made in `once`."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

from celery import shared_task
from django.db import connection

from tasks.attempt import running
from tasks.effects import once

_LONGEST_WAIT_SECONDS = 300


def _write(label: str) -> None:
    attempt = running()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO fault_effects VALUES (%s, %s, %s)", [label, attempt.run_id, attempt.number])


def _make(label: str) -> None:
    with once(label) as is_first:
        if is_first:
            _write(label)


def _wait_for(gate: str) -> None:
    """Say which process is here, and wait until the test opens the gate."""
    path = Path(gate)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_text(str(os.getpid()))
    unfinished.rename(path.with_suffix(f".at{running().number}"))
    for _ in range(_LONGEST_WAIT_SECONDS * 50):
        if path.exists():
            return
        threading.Event().wait(0.02)


@shared_task(name="tests.faults.make")
def make(label: str) -> None:
    """Make one effect."""
    _make(label)


@shared_task(name="tests.faults.make_slowly", max_attempts=6)
def make_slowly(gate: str) -> str:
    """Make an effect, wait, make another."""
    _make("before")
    _wait_for(gate)
    _make("after")
    return "done"


@shared_task(name="tests.faults.make_within", max_attempts=6)
def make_within(gate: str) -> None:
    """Wait in the middle of an effect."""
    with once("within") as is_first:
        if is_first:
            _write("within")
            _wait_for(gate)


@shared_task(name="tests.faults.only_wait", max_attempts=6)
def only_wait(gate: str) -> str:
    """Make no effect at all, so that nothing tells the task that it's stale before its end."""
    _wait_for(gate)
    return f"attempt {running().number}"


@shared_task(name="tests.faults.die", max_attempts=3, dead_letter="tests.faults.bury")
def die() -> None:
    """Kill the process that runs this, as an end of memory would."""
    _write("before death")
    os.kill(os.getpid(), signal.SIGKILL)


@shared_task(name="tests.faults.bury")
def bury(run_id: str) -> None:
    _make(f"buried {run_id}")


@shared_task(name="tests.faults.hang", time_limit=1, soft_time_limit=0.5)
def hang(hides: bool) -> None:
    """Take no end; with `hides` the soft limit is passed over."""
    try:
        threading.Event().wait(_LONGEST_WAIT_SECONDS)
    except Exception:
        if not hides:
            raise
        threading.Event().wait(_LONGEST_WAIT_SECONDS)


@shared_task(name="tests.faults.step", bind=True)
def step(self: Any, total: int, number: int, gate: str = "") -> int:
    """Add a number, as a step of a chain; with a gate it waits on its first attempt."""
    if gate and running().number == 1:
        _wait_for(gate)
    _make(f"step {number}")
    return total + number
