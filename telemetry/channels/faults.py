"""Faults of the hooks themselves: they're counted and told, and hurt nobody."""

from telemetry.faults import FAULTS
from telemetry.logs import get_logger

log = get_logger("channels")


def note_fault(hook: str, error: Exception) -> None:
    """Count and tell that a hook failed; what it watches goes on unwatched."""
    FAULTS.labels(f"channels.{hook}").inc()
    log.warning("channels.telemetry_failed", hook=hook, error=f"{type(error).__name__}: {error}")
