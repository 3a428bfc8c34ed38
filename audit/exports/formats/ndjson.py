"""NDJSON (the form of ndjson.org, 2014): each line is an event as the ledger's API gives it, member for member."""

from audit.exports.formats.lines import json_line
from audit.models import Event
from audit.reading import showing
from audit.reading.access import Access


def line(event: Event, access: Access) -> bytes:
    """Return an event as its line."""
    return json_line(showing.as_dict(event, access))
