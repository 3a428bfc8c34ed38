"""The ledger's values as its pages show them."""

from typing import Any

from django import template

from audit import conf, values

register = template.Library()

_LONGEST_VALUE = 300


@register.filter
def shown(value: Any) -> str:
    """Return a ledger value as one short text; what is cut says so."""
    if value is None:
        return "—"
    if isinstance(value, dict) and set(value) == {"masked"}:
        return f"masked · {value['masked'][:8]}"
    if isinstance(value, dict) and set(value) == {"cut", "length", "sha256"}:
        return f"{value['cut'][:_LONGEST_VALUE]}… ({value['length']} characters)"
    text = value if isinstance(value, str) else values.dumps(value).decode()
    if text == "":
        return "empty"
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… ({len(text)} characters)"


@register.filter
def request_url(request_id: str) -> str:
    """Return where the project follows a request (`AUDIT_REQUEST_URL`); empty where it has no such page."""
    return conf.request_url().replace("{request_id}", request_id) if request_id else ""
