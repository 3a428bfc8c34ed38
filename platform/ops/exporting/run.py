"""An export from start to end: of one moment, in little memory, and not without the ledger knowing."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db import connection, transaction

import audit
from ops.exporting.formats import FORMATS
from ops.exporting.selections import Selection
from ops.progress import Advance

_ROWS_AT_A_TIME = 500
_CHUNK_BYTES = 65_536


class Export:
    """The rows of some selections in one form. `counts` tells how many of each model are out."""

    def __init__(self, selections: Sequence[Selection], form: str, about: dict[str, Any]) -> None:
        """Take what to export, and what else the ledger is to know of it."""
        self._selections = selections
        self._form = form
        self._about = {**about, "format": form, "fields": {one.label: list(one.fields) for one in selections}}
        self.counts = {selection.label: 0 for selection in selections}

    def run(self, write: Callable[[bytes], object], *, progress: Advance | None = None) -> bool:
        """Write all of it; False where nobody read any more. Nothing is written before the ledger knows of it.

        Raises:
            OSError: it could not be written.
            django.db.Error: it could not be read, or not recorded.
        """
        audit.record("ops.data.export_started", changes=self._about)
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:  # all models as they were at one moment
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                for chunk in _in_chunks(FORMATS[self._form](self._tables(progress))):
                    write(chunk)
        except BrokenPipeError:
            self._record(is_complete=False)
            return False
        except BaseException as error:
            self._record(is_complete=False, error=type(error).__name__)
            raise
        self._record(is_complete=True)
        return True

    def _tables(self, progress: Advance | None) -> Iterator[tuple[Selection, Iterator[tuple[Any, ...]]]]:
        for selection in self._selections:
            total = selection.rows.count() if progress else None
            yield selection, self._rows(selection, total, progress)

    def _rows(self, selection: Selection, total: int | None, progress: Advance | None) -> Iterator[tuple[Any, ...]]:
        label = selection.label
        for count, row in enumerate(selection.rows.iterator(chunk_size=_ROWS_AT_A_TIME), 1):
            yield row
            self.counts[label] = count
            if progress and count % _ROWS_AT_A_TIME == 0:
                progress(label, count, total)

    def _record(self, *, is_complete: bool, error: str = "") -> None:
        changes = {**self._about, "counts": self.counts, "complete": is_complete}
        if error:
            changes["error"] = error
        audit.record("ops.data.exported", outcome="error" if error else "success", changes=changes)


def _in_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _CHUNK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
