"""A live platform: real processes against the suite's servers, started on demand.

It's kept for the next module where that asks for one too, as `tests.kept` says: other tests read the queues themselves.
"""

import itertools
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pytest
from django.conf import settings

from config import parts
from config.processes import Process, stop_all, wait_for
from tests.kept import Keep


@dataclass(frozen=True)
class LivePlatform:
    """Real processes against the suite's servers. `lines` holds what they wrote: pairs of process and line."""

    web_url: str
    socket_url: str
    lines: list[tuple[str, str]]

    def lines_of(self, name: str) -> list[str]:
        return [line for process, line in list(self.lines) if process == name]


@pytest.fixture(scope="module")
def running_platform(django_db_setup: None, keep: Keep) -> LivePlatform:
    """Run web, sockets and a worker as `manage up` does."""
    platform: LivePlatform = keep("running_platform", _run)
    return platform


@contextmanager
def _run() -> Iterator[LivePlatform]:
    lines: list[tuple[str, str]] = []
    web_port, socket_port = _free_ports(2)
    chosen = [
        parts.web(web_port, settings.LOCAL_DIR, socket_port=socket_port),
        parts.sockets(socket_port, settings.LOCAL_DIR, web_port=web_port),
        parts.worker(settings.LOCAL_DIR),
    ]
    processes: list[Process] = []
    try:
        for part in chosen:
            processes.append(Process(part.program, lambda name, line: lines.append((name, line))))
        for part, process in zip(chosen, processes, strict=True):
            is_ready = wait_for(lambda: not process.is_running or part.is_ready(), timeout_seconds=180)  # noqa: B023
            if not is_ready or not process.is_running:
                written = "\n".join(process.last_lines)
                pytest.fail(f"{process.name} {process.describe_end()} and isn't ready:\n{written}")
        yield LivePlatform(f"http://127.0.0.1:{web_port}", f"ws://127.0.0.1:{socket_port}", lines)
    finally:
        stop_all(processes)


@pytest.fixture
def live_platform(transactional_db: None, running_platform: LivePlatform) -> LivePlatform:
    """Give the running platform to one test; what the test commits is removed after it."""
    return running_platform


# Below those that a kernel gives to whoever asks for any; each process begins elsewhere, and gives none twice.
_PORTS = range(12_000, 32_000)
_next_ports = itertools.count(os.getpid() * 97)


def _free_ports(count: int) -> list[int]:
    numbers: list[int] = []
    while len(numbers) < count:
        number = _PORTS[next(_next_ports) % len(_PORTS)]
        with suppress(OSError), socket.create_server(("127.0.0.1", number)):
            numbers.append(number)
    return numbers


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """Return a function that gives so many ports on which nobody listens."""
    return _free_ports
