"""All forms in which events are taken away, by their names."""

from collections.abc import Callable
from dataclasses import dataclass

from audit.errors import FilterError
from audit.exports.formats import cloudevents, csv, ecs, ndjson, ocsf
from audit.models import Event
from audit.reading.access import Access

_LINES = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Format:
    """One form: `line` makes an event's line, for a reader with some access; `header` is what comes first."""

    name: str
    content_type: str
    suffix: str
    line: Callable[[Event, Access], bytes]
    header: Callable[[], bytes] = bytes


FORMATS = {
    one.name: one
    for one in (
        Format("ndjson", _LINES, "ndjson", ndjson.line),
        Format("csv", "text/csv; charset=utf-8", "csv", csv.line, csv.header),
        Format("ocsf", _LINES, "ocsf.ndjson", ocsf.line),
        Format("cloudevents", _LINES, "cloudevents.ndjson", cloudevents.line),
        Format("ecs", _LINES, "ecs.ndjson", ecs.line),
    )
}


def format_named(name: str) -> Format:
    """Return a format by its name.

    Raises:
        FilterError: there's no such format.
    """
    if name not in FORMATS:
        raise FilterError({"format": [f"“{name[:100]}” is no format. There are: {', '.join(FORMATS)}."]})
    return FORMATS[name]
