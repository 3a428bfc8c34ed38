"""The ledger as it grows: what is committed behind a cursor, batch by batch, however late it is committed.

Nothing here needs Channels: the socket (`audit.live.consumers`) and `manage audit_tail` both read by it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.db import DataError, InterfaceError, OperationalError, close_old_connections, connections

from audit import conf, recording
from audit.errors import CursorError
from audit.models import Event
from audit.reading import cursors, queries
from audit.reading.cursors import Cursor
from audit.reading.filters import Search

BATCH = 200
# What the database says when it can't be asked for the moment: it's down, restarting, or out of connections.
UNAVAILABLE = (OperationalError, InterfaceError)

_LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events, oldest first. `cursor` goes on exactly behind them; `is_last` says that no more are there yet."""

    events: list[Event]
    cursor: Cursor
    is_last: bool


def begin(cursor: Cursor | None = None, *, using: str = "default") -> Cursor:
    """Return where a tail begins: at `cursor`, or at this moment.

    Raises:
        CursorError: the cursor is of another database, or of an earlier life of this one.
    """
    now = cursors.begun(replace(cursor or Cursor(), snapshot=""), using=using)
    if cursor is None:
        return Cursor("oldest", now.database, seen=now.snapshot)
    try:
        with connections[using].cursor() as asked:
            for snapshot in filter(None, (cursor.snapshot, cursor.seen)):
                asked.execute("SELECT %s::pg_snapshot", [snapshot])
                _refuse_if_ahead(snapshot, now.snapshot)
    except DataError as error:  # it looks like a snapshot, but is none
        raise CursorError from error
    return cursor if cursor.position else replace(cursor, order="oldest")


def read(search: Search, cursor: Cursor, *, limit: int = BATCH, using: str = "default") -> Batch:
    """Return the next events of `search` behind `cursor`; of what is committed at this moment, they are all in time.

    Raises:
        CursorError: see `begin`.
        SearchTooLongError: the search took longer than `AUDIT_SEARCH_SECONDS`.
    """
    begun = cursors.begun(cursor, using=using)
    if not cursor.snapshot and cursor.seen:
        if begun.snapshot == cursor.seen:  # no transaction has ended since, and that is cheap to know
            return Batch([], cursor, is_last=True)
        _refuse_if_ahead(cursor.seen, begun.snapshot)
    page = queries.page(search, begun, limit=limit, using=using)
    return Batch(page.events, page.next or page.resume, is_last=page.next is None)


def follow(
    search: Search,
    cursor: Cursor,
    wait: Callable[[float], bool],
    *,
    most: int | None = None,
    using: str = "default",
) -> Iterator[Batch | None]:
    """Give batches, empty ones too, until `most` events were given or `wait` says so; None where the database is away.

    Args:
        most: how many events at most, 1 or more; None is no end.
        wait: lets so many seconds pass, and returns whether to end; between batches it's asked with 0.

    Raises:
        CursorError: see `begin`.
        SearchTooLongError: see `read`.
    """
    failures, left = 0, most
    while True:
        batch = None
        try:
            batch = read(search, cursor, limit=BATCH if left is None else min(left, BATCH), using=using)
        except UNAVAILABLE:
            failures += 1
        else:
            failures, cursor = 0, batch.cursor
            left = None if left is None else left - len(batch.events)
        yield batch
        if left == 0:
            return
        close_old_connections()  # one that broke would be tried for ever
        if wait(0 if batch and not batch.is_last else pause_seconds(failures)):
            return


def pause_seconds(failures: int = 0) -> float:
    """Return how long to wait before the next reading, after so many failures in a row."""
    usual = conf.tail_seconds()
    return max(usual, min(_LONGEST_PAUSE_SECONDS, usual * 2.0 ** min(failures, 10)))


def record_opened(search: Search, **about: Any) -> None:
    """Record that a tail begins.

    Raises:
        django.db.Error: it can't be recorded, so it must not begin.
    """
    recording.record("audit.ledger.tail_opened", changes={"filters": dict(search.given), **about})


def record_closed(search: Search, event_count: int, **about: Any) -> None:
    """Record that a tail has ended, and how many events it showed.

    Raises:
        django.db.Error: it can't be recorded.
    """
    recording.record(
        "audit.ledger.tail_closed", changes={"filters": dict(search.given), "events": event_count, **about}
    )


def _refuse_if_ahead(snapshot: str, now: str) -> None:
    """A restored database counts on from where its backup was: what it gives next would be taken for seen."""
    if int(snapshot.split(":")[1]) > int(now.split(":")[1]):
        raise CursorError
