"""Where a reader stands in the ledger, as text that goes out and comes back.

Ids and times are given before a transaction commits, so an event can appear behind a reader who has gone past its
place. A cursor therefore holds the database's snapshot of when the reading began: all its pages show what was
committed then, no more and no less. What a later snapshot sees and an earlier one doesn't is what came since, however
late it was committed.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from django.db import connections
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

from audit.errors import CursorError

Order = Literal["newest", "oldest"]
Position = tuple[datetime, int]  # an event's `recorded_at` and id

_SNAPSHOT = re.compile(r"\d{1,19}:\d{1,19}:(?:\d{1,19}(?:,\d{1,19})*)?")
_LONGEST = 60_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a reading: of what `snapshot` sees and `seen` doesn't, what comes behind `position`.

    `Cursor()` is the beginning of a reading; without a snapshot, it gets that of the moment when it's used.
    `database` is the cluster's identifier: transaction numbers mean nothing in another one.
    """

    order: Order = "newest"
    database: str = ""
    snapshot: str = ""
    seen: str = ""
    position: Position | None = None

    def __str__(self) -> str:
        at, event_id = self.position or (None, None)
        members = [self.database, self.snapshot, self.order, self.seen, at.isoformat() if at else None, event_id]
        return base64.urlsafe_b64encode(json.dumps(members, separators=(",", ":")).encode()).decode().rstrip("=")


def parse(text: str) -> Cursor:
    """Return the cursor that `text` is.

    Raises:
        CursorError: it's none of ours.
    """
    try:
        if len(text) > _LONGEST:
            raise ValueError("too long")
        database, snapshot, order, seen, at, event_id = json.loads(
            base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        )
        position = None if at is None else (datetime.fromisoformat(at), int(event_id))
        is_sound = (
            isinstance(database, str)
            and all(not one or _is_snapshot(one) for one in (snapshot, seen))
            and order in ("newest", "oldest")
            and (position is None or (position[0].tzinfo is not None and 0 <= position[1] < 2**63))
        )
        if not is_sound:
            raise ValueError("unsound")
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise CursorError from error
    return Cursor(order, database, snapshot, seen, position)


def _is_snapshot(text: str) -> bool:
    """Whether PostgreSQL would take it: `xmin:xmax:` and the running transactions in between, in order."""
    if not _SNAPSHOT.fullmatch(text):
        return False
    lowest, highest, running = text.split(":")
    numbers = [int(lowest), *map(int, filter(None, running.split(","))), int(highest) - 1]
    return 0 < int(lowest) <= int(highest) < 2**63 and (not running or numbers == sorted(numbers))


def begun(cursor: Cursor, *, using: str = "default") -> Cursor:
    """Return `cursor` with a snapshot: of this moment, where it has none.

    Raises:
        CursorError: it's of another database.
    """
    with connections[using].cursor() as asked:
        asked.execute(
            "SELECT pg_catalog.pg_current_snapshot()::text, system_identifier::text FROM pg_catalog.pg_control_system()"
        )
        snapshot, database = asked.fetchone()
    if cursor.database not in ("", database):
        raise CursorError
    return replace(cursor, database=database, snapshot=cursor.snapshot or snapshot)


def condition(cursor: Cursor) -> Q:
    """Return the condition on events that `cursor`, once begun, stands for."""
    found = Q(_visible_in(cursor.snapshot))
    if cursor.seen:
        found &= Q(_came_since(cursor.seen))
    if cursor.position:
        compare = "<" if cursor.order == "newest" else ">"
        behind = f"(recorded_at, id) {compare} (%s::timestamptz, %s::bigint)"
        found &= Q(RawSQL(behind, list(cursor.position), BooleanField()))  # noqa: S611 -- parameters only
    return found


def _visible_in(snapshot: str) -> RawSQL:
    # A transaction number that this cluster hasn't given yet comes from the cluster that a dump was made of.
    return RawSQL(
        "(pg_catalog.pg_visible_in_snapshot(txid, %s::pg_snapshot)"
        " OR txid >= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())"
        " OR txid = pg_catalog.pg_current_xact_id_if_assigned())",
        [snapshot],
        BooleanField(),
    )


def _came_since(snapshot: str) -> RawSQL:
    # The first condition is for the index: all below the snapshot's lowest running transaction was over by then.
    return RawSQL(
        "(txid::text::bigint >= %s AND NOT pg_catalog.pg_visible_in_snapshot(txid, %s::pg_snapshot)"
        " AND txid < pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()))",
        [int(snapshot.partition(":")[0]), snapshot],
        BooleanField(),
    )
