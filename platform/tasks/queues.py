"""How the queues stand, by what the database knows of their tasks."""

from dataclasses import dataclass
from datetime import datetime

from celery import current_app

from tasks import statements
from tasks.models import Queue
from tasks.queries import bounded

WAITS_OF_SECONDS = 3_600
MOST_WAITS = 20_000
_LONGEST_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """How a queue stands: how many tasks of it are due, come later, and run; waits are of the last hour."""

    name: str
    due: int = 0
    later: int = 0
    running: int = 0
    oldest_seconds: float | None = None  # for how long the oldest has been due
    wait_p50_seconds: float | None = None
    wait_p95_seconds: float | None = None
    is_paused: bool = False
    changed_at: datetime | None = None  # when it was last paused or resumed; by whom, and why
    changed_by: str = ""
    reason: str = ""
    is_known: bool = True  # False where tasks wait in it and no worker takes any


def known_queues() -> list[str]:
    """Return the names of the queues that there are."""
    return sorted(current_app.amqp.queues)


def queue_standings() -> list[Standing]:
    """Return how each queue stands, by name; also of one that there's no more, while tasks wait in it.

    Raises:
        audit.errors.SearchTooLongError: it took too long.
    """
    with bounded(_LONGEST_SECONDS, by_index=True):
        depths = {row[0]: row[1:] for row in statements.rows_of("depths")}
        waits = {row[0]: row[1:] for row in statements.rows_of("waits", age_seconds=WAITS_OF_SECONDS, most=MOST_WAITS)}
        said = {queue.name: queue for queue in Queue.objects.all()}
    known = known_queues()
    standings = []
    for name in sorted({*known, *depths}):
        due, later, running, oldest_seconds = depths.get(name, (0, 0, 0, None))
        p50, p95 = waits.get(name, (None, None))
        queue = said.get(name) or Queue(name=name)
        standings.append(
            Standing(
                name=name,
                due=due,
                later=later,
                running=running,
                oldest_seconds=oldest_seconds,
                wait_p50_seconds=p50,
                wait_p95_seconds=p95,
                is_paused=queue.is_paused,
                changed_at=queue.changed_at,
                changed_by=queue.changed_by,
                reason=queue.reason,
                is_known=name in known,
            )
        )
    return standings
