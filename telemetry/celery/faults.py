"""Telemetry fails open: a hook's own fault is counted and told, and what it watches goes on."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from telemetry.faults import FAULTS
from telemetry.logs import get_logger

P = ParamSpec("P")
T = TypeVar("T")

log = get_logger("celery")


def fails_open(hook: Callable[P, T]) -> Callable[P, T | None]:
    """Return `hook` so that it gives None where it fails."""
    name = f"celery.{hook.__name__.strip('_')}"

    @wraps(hook)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return hook(*args, **kwargs)
        except Exception as error:
            with suppress(Exception):
                FAULTS.labels(name).inc()
                log.warning("celery.telemetry_failed", hook=name, error=f"{type(error).__name__}: {error}")
            return None

    return guarded
