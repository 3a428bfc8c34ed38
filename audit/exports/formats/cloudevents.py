"""CloudEvents 1.0.2 in its JSON format, an event a line, with the extension Distributed Tracing.

`source` is `AUDIT_SOURCE`, `type` the action, `subject` the object, and `data` the event as the API gives it.
"""

import re

from audit import conf
from audit.exports.formats.lines import inert, json_line
from audit.models import Event
from audit.reading import showing
from audit.reading.access import Access

_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")


def line(event: Event, access: Access) -> bytes:
    """Return an event as its line."""
    shown = showing.as_dict(event, access)
    # Attributes may hold no control characters, and none is empty.
    attributes = {
        "specversion": "1.0",
        "id": str(event.pk),
        "source": conf.source(),
        "type": inert(event.action),
        "subject": inert("/".join(filter(None, (shown["object_type"], shown["object_id"])))),
        "time": event.recorded_at,
        "datacontenttype": "application/json",
        "traceparent": _traceparent(shown["trace_id"], shown["span_id"]),
    }
    return json_line({**{name: value for name, value in attributes.items() if value}, "data": shown})


def _traceparent(trace_id: str, span_id: str) -> str:
    if not (_TRACE_ID.fullmatch(trace_id) and _SPAN_ID.fullmatch(span_id)):
        return ""
    return f"00-{trace_id}-{span_id}-00"  # the ledger doesn't know whether the trace was sampled
