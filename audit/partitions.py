"""The ledger's monthly partitions: which stand ready, and how they are made.

A month without a partition stops no write: its events go to the default partition, and from there into their own as
soon as somebody makes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import OperationalError, ProgrammingError, connections
from psycopg import errors

from audit import conf
from audit.errors import PartitionsError


@dataclass(frozen=True, slots=True)
class Made:
    """A partition that was made, and how many events moved into it from the default partition."""

    name: str
    moved_events: int


def ensure(using: str = "", *, at: datetime | None = None, months_ahead: int | None = None) -> list[Made]:
    """Make the partitions that are missing, and return them; what stands already costs two look-ups.

    Call it outside of transactions: writers wait until the one in which it runs is over.

    Args:
        using: the alias that connects as the ledger's owner; by default `AUDIT_OWNER_DATABASE`.
        at: the time whose month is the first; by default now.
        months_ahead: how many more months; by default `AUDIT_PARTITION_MONTHS_AHEAD`.

    Raises:
        PartitionsError: the alias may not make them, or the ledger was in use without a pause. Nothing has changed.
    """
    alias = using or conf.owner_database()
    ahead = conf.partition_months_ahead() if months_ahead is None else months_ahead
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT partition_name, moved_events FROM public.audit_ensure_partitions_v1(%s, %s)",
                [at or datetime.now(UTC), ahead],
            )
            return [Made(name, moved) for name, moved in cursor.fetchall()]
    except ProgrammingError as error:
        if isinstance(error.__cause__, errors.InsufficientPrivilege):
            raise PartitionsError(
                f"The database role of {alias!r} may not make partitions; name the ledger's owner in "
                "AUDIT_OWNER_DATABASE or with --database."
            ) from error
        raise
    except OperationalError as error:
        if isinstance(error.__cause__, errors.LockNotAvailable):
            raise PartitionsError(
                "The ledger was in use without a pause, so no partition was made. Try again after the transactions "
                "that read or write it."
            ) from error
        raise


def months_ready(months: Sequence[datetime], *, at: datetime | None = None) -> int:
    """Return how many of the months that have a partition follow on each other from the month of `at`, that included.

    Args:
        months: the first moments of months.
        at: by default now.
    """
    moment = (at or datetime.now(UTC)).astimezone(UTC)
    year, month, ready = moment.year, moment.month, 0
    standing = {(start.astimezone(UTC).year, start.astimezone(UTC).month) for start in months}
    while (year, month) in standing:
        ready += 1
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return ready
