"""NDJSON (the form of ndjson.org, 2014): each line is an event as the ledger's API gives it, member for member."""

from audit import showing
from audit.access import Access
from audit.formats.lines import json_line
from audit.models import Event


def line(event: Event, access: Access) -> bytes:
    """Return an event as its line."""
    return json_line(showing.as_dict(event, access))
