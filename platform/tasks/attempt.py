"""The attempt that is running here."""

import uuid
from dataclasses import dataclass
from typing import Any

from celery import current_task

from tasks import metrics
from tasks.errors import OutsideTaskError, StaleAttemptError
from telemetry.logs import get_logger

log = get_logger(__name__)
_ATTRIBUTE = "glasshouse_attempt"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A worker's try at a run; `number` fences it."""

    run_id: uuid.UUID
    number: int


def keep(request: Any, attempt: Attempt) -> None:
    """Keep the attempt with Celery's request of it."""
    setattr(request, _ATTRIBUTE, attempt)


def attempt_of(request: Any) -> Attempt | None:
    """Return the attempt of a request of Celery's, if it has begun one."""
    found = getattr(request, _ATTRIBUTE, None)
    return found if isinstance(found, Attempt) else None


def running() -> Attempt:
    """Return the attempt of the task that is running.

    Raises:
        OutsideTaskError: none is, or it has no row.
    """
    attempt = attempt_of(current_task.request) if current_task else None
    if attempt is None:
        raise OutsideTaskError(OutsideTaskError.__doc__)
    return attempt


def note_stale(run_id: uuid.UUID, number: int) -> StaleAttemptError:
    """Count that an attempt without its lease was kept from writing; returns what stops it."""
    metrics.FENCED.inc()
    log.warning("tasks.stale_attempt", run_id=str(run_id), attempt=number)
    return StaleAttemptError(StaleAttemptError.__doc__)
