"""Whether it's time for maintenance. The row is the truth; each process looks at it once a second at most."""

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.utils import timezone

from ops.models import Maintenance
from telemetry.logs import get_logger
from telemetry.tracing.work import unobserved

log = get_logger(__name__)

KEPT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Window:
    """A time of maintenance, as everybody may know of it; `ends_at` is None where it's ended by hand."""

    message: str
    begun_at: datetime
    ends_at: datetime | None

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended by itself."""
        return self.ends_at is not None and self.ends_at <= now


_lock = threading.Lock()
_kept: tuple[float, Window | None] | None = None


def current() -> Window | None:
    """Return the maintenance that is on, else None; a second late where another process has switched it.

    While the database is away it's what was known last: a maintenance of the database itself goes on.
    """
    kept = _kept
    # One thread looks; the others needn't wait for it where they know the last answer.
    if not is_known() and _lock.acquire(blocking=kept is None):
        try:
            kept = _look(kept)
        finally:
            _lock.release()
    window = kept[1] if kept else None
    return None if window is None or window.is_over(timezone.now()) else window


def is_known() -> bool:
    """Whether `current` would answer without asking the database."""
    return _kept is not None and time.monotonic() - _kept[0] < KEPT_SECONDS


def read() -> Window | None:
    """Return the maintenance that the row tells of, else None."""
    row = Maintenance.objects.filter(is_on=True).first()
    if row is None:
        return None
    window = Window(row.message, row.begun_at, row.ends_at)
    return None if window.is_over(timezone.now()) else window


def keep(window: Window | None) -> None:
    """Take this for the answer of the next second."""
    global _kept
    _kept = (time.monotonic(), window)


def forget() -> None:
    """Have `current` look anew."""
    global _kept
    _kept = None


def as_dict(window: Window | None) -> dict[str, Any]:
    """Return it for programs: `is_on`, `message`, `begun_at`, `ends_at`."""
    if window is None:
        return {"is_on": False, "message": "", "begun_at": None, "ends_at": None}
    ends_at = window.ends_at and window.ends_at.isoformat()
    return {"is_on": True, "message": window.message, "begun_at": window.begun_at.isoformat(), "ends_at": ends_at}


def _look(kept: tuple[float, Window | None] | None) -> tuple[float, Window | None]:
    global _kept
    window = kept[1] if kept else None
    try:
        with unobserved():  # it belongs to no request: any of a second's may be the one that asks
            window = read()
    except (DatabaseError, InterfaceError) as error:
        log.warning("ops.maintenance_unknown", error=type(error).__name__)
    _kept = (time.monotonic(), window)
    return _kept
