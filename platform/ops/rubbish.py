"""What `manage cleanup` may remove of the two lanes, which know nothing of the platform and its cleanup."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from django.db.models import Sum

from audit.exports import files
from ops.cleanup.kinds import Piece
from telemetry.tracing.store import KEPT_SECONDS, recent_spans

_BATCH = 100


def ledger_exports(age: timedelta | None) -> Iterator[Piece]:
    """Exports of the ledger that are past their time, and their files."""
    due = files.overdue_exports(age or timedelta())
    count = due.count()
    if count:
        size = due.aggregate(size=Sum("size_bytes"))["size"] or 0
        yield Piece(
            f"{count} due since {due[0].expires_at:%Y-%m-%d %H:%M} UTC",
            partial(files.expire, age or timedelta()),
            count,
            size,
        )


def recent_requests(age: timedelta | None) -> Iterator[Piece]:
    """Spans in Redis of requests that told nothing for an hour; most of them Redis has dropped by itself."""
    store = recent_spans()
    request_ids = store.older_than(age.total_seconds() if age else KEPT_SECONDS)
    for start in range(0, len(request_ids), _BATCH):
        batch = request_ids[start : start + _BATCH]
        yield Piece(f"request {batch[0]}", partial(store.forget, batch), len(batch), store.bytes_of(batch))


KINDS = {"ledger-exports": ledger_exports, "spans": recent_requests}
