"""What telemetry hears of the ledger: a log line, a span event and a count, of exactly what the ledger holds."""

from functools import cache
from typing import Any

from opentelemetry import trace

from audit.echo import Change
from audit.signals import model_changed
from telemetry.logs import get_logger
from telemetry.metrics import counter

log = get_logger("audit")
EVENTS = counter("audit_events_total", "Events that the ledger holds, by what happened.", ["action", "outcome"])


_counted = cache(EVENTS.labels)  # prometheus_client checks and locks for each lookup; both labels are bounded


def connect() -> None:
    """Connect the receivers."""
    model_changed.connect(tell, dispatch_uid="audit.tell")


def tell(sender: Any, change: Change, **kwargs: Any) -> None:
    """Count the change, write its log line, and mark it on the running span. Values stay in the ledger."""
    _counted(change.action, change.outcome).inc(change.count)
    fields = sorted(change.changes)
    log.info(
        "audit.event",
        action=change.action,
        outcome=change.outcome,
        object_id=change.object_id,
        fields=fields,
        count=change.count,
        event_ids=list(change.event_ids),
    )
    span = trace.get_current_span()
    if span.is_recording():
        span.add_event(
            change.action,
            {
                "audit.object_type": change.object_type,
                "audit.object_id": change.object_id,
                "audit.fields": fields,
                "audit.count": change.count,
                "audit.event_ids": list(change.event_ids),
            },
        )
