"""Which statement caused which event of the ledger."""

from bisect import bisect_right
from collections.abc import Sequence

from audit.models import Event
from ops.steps import Span, lane_of

# Two clocks that one machine's database and processes read are this close.
_CLOCK_SLACK_NS = 1_000_000
_MICROSECOND_NS = 1_000  # the ledger's times are cut to it
_LOOKED_AT = 64  # statements before an event: one that is still running began not long before


def events_by_span(events: Sequence[Event], spans: Sequence[Span]) -> tuple[dict[str, list[Event]], list[Event]]:
    """Return the events by the statement that caused them, or by their work's span; and those that have neither."""
    known = {span["span_id"] for span in spans}
    # The statements of a piece of work and those of its whole trace, by their beginnings.
    statements: dict[str, list[Span]] = {}
    for span in spans:
        if lane_of(span) == "sql":
            statements.setdefault(span["parent_id"], []).append(span)
            statements.setdefault(span["trace_id"], []).append(span)
    begins = {key: [span["start_ns"] for span in found] for key, found in statements.items()}
    placed: dict[str, list[Event]] = {}
    left: list[Event] = []
    for event in events:
        at = int(event.recorded_at.timestamp() * 1_000_000) * 1_000
        candidates = (
            statement
            for key in (event.span_id, event.trace_id)
            if key and key in statements
            for statement in _around(statements[key], begins[key], at)
        )
        cause = next((span["span_id"] for span in candidates), event.span_id or "")
        if cause in known:
            placed.setdefault(cause, []).append(event)
        else:
            left.append(event)
    return placed, left


def _around(statements: Sequence[Span], begins: Sequence[int], at: int) -> list[Span]:
    """The statements that were running at a time, the latest first; then those that began just after it."""
    last = bisect_right(begins, at + _CLOCK_SLACK_NS)
    found = [span for span in reversed(statements[max(0, last - _LOOKED_AT) : last]) if at <= (span["end_ns"] or 0)]
    return sorted(found, key=lambda span: span["start_ns"] > at + _MICROSECOND_NS)
