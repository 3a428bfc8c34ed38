"""What every test may ask for; servers, the database, a live platform and a browser each have a module of their own."""

import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.servers", "tests.database", "tests.kept", "tests.live", "tests.browser"]

T = TypeVar("T")
LONGEST_WAIT_SECONDS = (
    60.0  # for what takes a moment: a machine may be busy, and whoever waits in vain has failed anyway
)

# The same examples each time, and however long they take: what's found by chance fails somebody else's change.
settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("suite")


class WaitUntil(Protocol):
    def __call__(self, condition: Callable[[], T], *, timeout: float = LONGEST_WAIT_SECONDS) -> T: ...


def _wait_until(condition: Callable[[], T], *, timeout: float = LONGEST_WAIT_SECONDS) -> T:
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            name = getattr(condition, "__qualname__", repr(condition))
            pytest.fail(f"{name} gave {value!r}, and nothing true within {timeout} s")
        threading.Event().wait(0.05)
    return value


@pytest.fixture(scope="session")
def wait_until() -> WaitUntil:
    """Return a function that polls a condition and returns its first true value, or fails the test in time."""
    return _wait_until


@pytest.fixture(autouse=True)
def _no_maintenance(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test's queries depend on when a second is over: whether it's maintenance isn't asked but after a switch."""
    from ops.maintenance import queries

    monkeypatch.setattr(queries, "KEPT_SECONDS", 3_600.0)
    queries.keep(None)


@pytest.fixture
def no_looks_at_maintenance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the query that each process makes once a second, for no request's sake, out of a count of queries."""
    from ops.maintenance import queries

    request.getfixturevalue("transactional_db")
    monkeypatch.setattr(queries, "KEPT_SECONDS", 3_600.0)
    queries.forget()
    queries.current()
