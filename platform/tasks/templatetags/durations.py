from django import template

register = template.Library()


@register.filter
def duration(seconds: float | None) -> str:
    """Return a time span for people to read: `8 ms`, `1.4 s`, `3 min 20 s`; a dash for None."""
    if seconds is None:
        return "\N{EN DASH}"
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
