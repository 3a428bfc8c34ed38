"""What telemetry itself gets wrong: its hooks fail open, and are counted."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from telemetry.metrics import counter

FAULTS = counter("telemetry_faults_total", "Faults of telemetry's own hooks, unnoticed by what they watch.", ["hook"])

P = ParamSpec("P")
T = TypeVar("T")


def fails_open(hook: str) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
    """Make a function return None where it would raise, and count that as a fault of `hook`."""

    def wrap(function: Callable[P, T]) -> Callable[P, T | None]:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T | None:
            try:
                return function(*args, **kwargs)
            except Exception:
                FAULTS.labels(hook).inc()
                return None

        return run

    return wrap
