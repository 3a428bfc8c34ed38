"""Exports as a stream: however many events, in the memory of one page of them.

Pages are asked for by key, so that nothing stays open between them: not a transaction, not a cursor of the database,
and so a connection pool in between does no harm.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from audit import conf
from audit.errors import SearchTooLongError
from audit.exports.formats.known import Format
from audit.models import Event
from audit.reading import cursors, queries
from audit.reading.access import EXPORT, Access, access_of
from audit.reading.cursors import Cursor
from audit.reading.filters import Search
from audit.recording import record
from telemetry import context as telemetry_context
from telemetry.logs import get_logger

log = get_logger("audit")

EXPORT_SCOPE = "audit:export"

_FIRST_ROWS, _FEWEST_ROWS, _MOST_ROWS = 200, 20, 2_000
# A page has as many rows as this lets expect from the last one: an event has anything from 500 bytes to megabytes.
_PAGE_BYTES = 4_000_000
_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some whole lines, and how many events they hold."""

    data: bytes
    count: int


def may_export(user: Any, scopes: Collection[str] | None = None) -> bool:
    """Whether `user` may take away what they may read, by a permission of its own and a token's scope of its own."""
    is_in_scope = scopes is None or EXPORT_SCOPE in scopes
    return is_in_scope and access_of(user, scopes).is_any and bool(user.has_perm(EXPORT))


def read(search: Search, cursor: Cursor, form: Format, access: Access, *, seconds: int) -> Iterator[Chunk]:
    """Yield the lines of the events behind `cursor`, without the format's header.

    Args:
        seconds: how long the database may look for the events of a page.

    Raises:
        CursorError: the cursor is of another database.
        SearchTooLongError: a page took longer; what was yielded is right, and not all.
    """
    position: Cursor | None = cursor
    limit = _FIRST_ROWS
    while position:
        page = queries.page(search, position, limit=limit, seconds=seconds)
        events, position = page.events, page.next
        size, count = 0, len(events)
        for chunk in _chunks(events, form, access):
            size += len(chunk.data)
            yield chunk
        limit = max(_FEWEST_ROWS, min(_MOST_ROWS, _PAGE_BYTES * count // max(size, 1)))
        del page, events  # before the next ones come


def _chunks(events: list[Event], form: Format, access: Access) -> Iterator[Chunk]:
    lines: list[bytes] = []
    size = 0
    for event in events:
        lines.append(form.line(event, access))
        size += len(lines[-1])
        if size >= _CHUNK_BYTES:
            yield Chunk(b"".join(lines), len(lines))
            lines, size = [], 0
    if lines:
        yield Chunk(b"".join(lines), len(lines))


class Stream:
    """The bytes of an export, an iterator; and what the ledger is told of its beginning and its end.

    Made within a request, it has read its first events already, so that whatever is wrong shows before the first byte.
    The rest runs after the request's middleware: the context of the request is carried along.

    `cursor` is where it began, with its snapshot: whoever gives it back gets the same events, from behind any of them.
    """

    def __init__(
        self, search: Search, cursor: Cursor, form: Format, access: Access, *, has_header: bool = True
    ) -> None:
        """Begin an export behind `cursor`.

        Raises:
            CursorError: the cursor is of another database.
            SearchTooLongError: the first events took longer than `AUDIT_EXPORT_PAGE_SECONDS`.
            django.db.Error: the ledger can't be read or written.
        """
        self.cursor = cursors.begun(cursor)
        self.count = 0
        self._about = {"filters": dict(search.given), "format": form.name}
        self._context = telemetry_context.current()
        self._is_over = False
        rest = read(search, self.cursor, form, access, seconds=conf.export_page_seconds())
        try:
            first = next(rest, None)
        except SearchTooLongError as error:
            raise SearchTooLongError(
                f"The first events weren't found within {conf.export_page_seconds()} seconds. Narrow the time with"
                " since and until, add another filter, or have the export made in the background."
            ) from error
        header = [Chunk(form.header(), 0)] if has_header and form.header() else []
        self._chunks = chain(header, [first] if first else [], rest)
        record("audit.ledger.export_started", changes=self._about)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._is_over:
            raise StopIteration
        # Not around a yield: whoever takes the next chunk may do so in another context.
        with telemetry_context.use(self._context):
            try:
                chunk = next(self._chunks, None)
            except Exception as error:
                self._end_early(str(error) if isinstance(error, SearchTooLongError) else type(error).__name__)
                raise
            if chunk is None:
                self._is_over = True
                record("audit.ledger.exported", changes={**self._about, "count": self.count, "complete": True})
                raise StopIteration
        self.count += chunk.count
        return chunk.data

    def close(self) -> None:
        """End the export where it stands, as a server does when its client has gone away."""
        if not self._is_over:
            with telemetry_context.use(self._context):
                self._end_early("The client went away.")

    def _end_early(self, why: str) -> None:
        self._is_over = True
        told = {**self._about, "count": self.count, "complete": False, "error": why}
        try:
            record("audit.ledger.exported", outcome="error", changes=told)
        except Exception as error:  # what ended it matters more than that nobody could note it
            log.error("audit.export_end_not_recorded", error=type(error).__name__, count=self.count)
        finally:
            del self._chunks
