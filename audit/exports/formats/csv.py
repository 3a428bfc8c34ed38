"""CSV (RFC 4180, UTF-8): a header, then a row for each event; `changes` and `context` are JSON.

Spreadsheets take a cell that begins like a formula for one, and a formula can send away what the sheet holds. Such a
cell gets an apostrophe before it, as OWASP's page on CSV injection advises. Whoever reads rows by program takes NDJSON.
"""

import csv
import io
import re
from collections.abc import Iterable
from datetime import date, time
from decimal import Decimal
from typing import Any

from audit import values
from audit.exports.formats.lines import inert
from audit.models import Event
from audit.reading import showing
from audit.reading.access import Access

COLUMNS = (
    *("id", "recorded_at", "transaction", "action", "outcome", "object_type", "object_id", "changes"),
    *("actor_type", "actor_id", "actor_label", "request_id", "trace_id", "span_id", "task_id"),
    *("origin", "operation", "context", "schema_version"),
)
# Spreadsheets skip spaces and quotes, and some know the signs in full width as well.
_FORMULA = re.compile("[\t\r\n]|[\\s\"'`\u2018-\u201f]*[=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212]")


def header() -> bytes:
    """Return the names of the columns as the first line."""
    return row(COLUMNS)


def line(event: Event, access: Access) -> bytes:
    """Return an event as its row."""
    shown = showing.as_dict(event, access)
    return row([cell(shown[name]) for name in COLUMNS])


def cell(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet takes for a formula; numbers stay numbers, and None is empty."""
    if value is None:
        return ""
    if isinstance(value, int | float | Decimal):
        return value
    if isinstance(value, dict | list):
        return inert(values.dumps(value).decode())
    text = inert(value.isoformat() if isinstance(value, date | time) else str(value), but="\t\r\n")
    return f"'{text}" if _FORMULA.match(text) else text


def row(cells: Iterable[Any]) -> bytes:
    """Return cells as a row."""
    written = io.StringIO(newline="")
    # All text in quotes: an unquoted cell ends at whatever a reader takes for a separator.
    csv.writer(written, quoting=csv.QUOTE_NONNUMERIC).writerow(cells)
    return written.getvalue().encode()
