"""The ledger's values as its pages show them."""

from django import template

from audit import conf
from audit.models import Event
from audit.reading import diffs
from audit.reading.access import NOTHING, Access

register = template.Library()


@register.filter
def diffs_for(event: Event, access: Access | str) -> list[diffs.Diff]:
    """Return how each field changed, as far as the page's reader may see it; a page that doesn't say who reads shows
    no personal values."""
    return diffs.of_event(event, access if isinstance(access, Access) else NOTHING)


@register.filter
def request_url(request_id: str) -> str:
    """Return where the project follows a request (`AUDIT_REQUEST_URL`); empty where it has no such page."""
    return conf.request_url().replace("{request_id}", request_id) if request_id else ""


@register.filter
def grouped(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}"
