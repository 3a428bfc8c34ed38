"""What telemetry itself gets wrong: its hooks fail open, are counted, and tell of the first fault of each."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from telemetry.logs import get_logger
from telemetry.metrics import counter

log = get_logger("telemetry")
FAULTS = counter("telemetry_faults_total", "Faults of telemetry's own hooks, unnoticed by what they watch.", ["hook"])

P = ParamSpec("P")
T = TypeVar("T")
_told: set[str] = set()


def note_fault(hook: str, error: Exception) -> None:
    """Count that a hook failed, and log it once a process: a hook that fails at all fails often."""
    with suppress(Exception):
        FAULTS.labels(hook).inc()
        if hook not in _told:
            _told.add(hook)
            log.warning("telemetry.fault", hook=hook, exc_info=error)


def fails_open(hook: str) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
    """Make a function return None where it would raise, and note that as a fault of `hook`."""

    def wrap(function: Callable[P, T]) -> Callable[P, T | None]:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T | None:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                note_fault(hook, error)
                return None

        return run

    return wrap
