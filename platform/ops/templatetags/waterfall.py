"""Numbers as the request page shows them."""

from typing import Any

from django import template

register = template.Library()


@register.filter
def percent_of(value: float, total: float) -> str:
    """Return `value` as a percentage of `total`, between 0 and 100, for an SVG attribute."""
    return f"{min(100.0, max(0.0, 100 * value / total if total else 0)):.3f}"


@register.filter
def milliseconds(value: float) -> str:
    """Return a duration in milliseconds as people read it: `0.42 ms`, `13 ms`, `2.1 s`."""
    if value >= 1_000:
        return f"{value / 1_000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2f} ms"


@register.filter
def get_item(mapping: dict[str, Any], key: str) -> Any:
    """Return what a template can't reach by dots, since the key holds one."""
    return mapping.get(key, "")
