"""What one request, task or message has cost so far; its canonical log line tells it."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Counts over one piece of work."""

    statements: int = 0
    statement_seconds: float = 0.0


_tally: ContextVar[Tally | None] = ContextVar("telemetry_tally", default=None)


def begin() -> Tally:
    """Begin to count, for the running thread or coroutine and what it calls."""
    tally = Tally()
    _tally.set(tally)
    return tally


def add_statement(seconds: float) -> None:
    """Count a database statement."""
    if (tally := _tally.get()) is not None:
        tally.statements += 1
        tally.statement_seconds += seconds
