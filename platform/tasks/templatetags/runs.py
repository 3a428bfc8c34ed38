import json
from typing import Any

from django import template

register = template.Library()


@register.filter
def duration(seconds: float | None) -> str:
    """Return a time span for people to read: `8 ms`, `1.4 s`, `3 min 20 s`; a dash for none."""
    if not isinstance(seconds, int | float):  # of a row without a run it's empty
        return "\N{EN DASH}"
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days"


@register.filter
def pretty(value: Any) -> str:
    """Return JSON-able data for people to read."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
