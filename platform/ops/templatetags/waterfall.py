"""The request page's drawings and numbers."""

from typing import Any

from django import template
from django.utils.safestring import SafeString, mark_safe

from ops.lines import told
from ops.steps import Step
from ops.timeline import Timeline

register = template.Library()

_LEAST_WIDTH = 0.3  # percent; what is shorter couldn't be seen
# Lanes differ in form as well as in colour: top, height and roundness of their bars, of 14 pixels.
_FORMS = {
    "request": (1, 12, 1),
    "socket": (1, 12, 1),
    "task": (1, 12, 6),
    "push": (3, 8, 4),
    "wait": (4, 6, 0),
    "sql": (4, 6, 0),
    "cache": (5, 4, 2),
    "call": (3, 8, 0),
    "log": (2, 10, 5),
    "other": (3, 8, 2),
}
# What each lane is called, and what it is.
_TAGS = {
    "request": ("HTTP", "request"),
    "socket": ("WS", "message of a socket"),
    "task": ("task", "sent or run"),
    "wait": ("wait", "in a queue"),
    "push": ("push", "to sockets"),
    "sql": ("SQL", "statement"),
    "cache": ("cache", "operation"),
    "call": ("call", "to another server"),
    "log": ("log", "line"),
    "other": ("span", "of a library"),
}


@register.simple_tag
def bars(step: Step, timeline: Timeline) -> SafeString:
    """Draw a row's bars on the time axis, as parts of an SVG."""
    top, height, round_ = _FORMS[step.lane]
    drawn = []
    for begin_ms, duration_ms in step.bars:
        left = timeline.place(begin_ms)
        width = max(_LEAST_WIDTH, timeline.place(begin_ms + duration_ms) - left)
        left = min(left, 100 - width)
        drawn.append(f'<rect x="{left:.2f}%" y="{top}" width="{width:.2f}%" height="{height}" rx="{round_}"/>')
    return mark_safe("".join(drawn))  # noqa: S308 -- numbers alone


@register.simple_tag
def pauses(timeline: Timeline) -> SafeString:
    """Draw where the time axis is squeezed."""
    return mark_safe(  # noqa: S308 -- numbers alone
        "".join(
            f'<rect x="{pause.left:.2f}%" y="0" width="{pause.width:.2f}%" height="100%"/>' for pause in timeline.pauses
        )
    )


@register.filter
def percent(value: float) -> str:
    """Return a number for an SVG attribute."""
    return f"{min(100.0, max(0.0, value)):.2f}"


@register.filter
def milliseconds(value: float | None) -> str:
    """Return a duration in milliseconds as people read it: `0.42 ms`, `13 ms`, `2.1 s`, `3 min 20 s`."""
    if value is None:
        return "—"
    size = abs(value)
    if size >= 120_000:
        minutes, seconds = divmod(round(value / 1_000), 60)
        return f"{minutes} min {seconds} s"
    if size >= 1_000:
        return f"{value / 1_000:.1f} s"
    return f"{value:.0f} ms" if size >= 10 else f"{value:.2f} ms"


@register.filter
def tag(lane: str) -> str:
    """Return what a lane is called."""
    return _TAGS[lane][0]


@register.filter
def meaning(lane: str) -> str:
    """Return what a lane's rows are."""
    return _TAGS[lane][1]


@register.filter
def lanes(steps: list[Step]) -> list[str]:
    """Return the lanes that there are among these rows, in their order."""
    there = {step.lane for step in steps}
    return [lane for lane in _TAGS if lane in there]


@register.filter
def fields(values: dict[str, Any]) -> str:
    """Return a line's fields in one short text."""
    return told(values)


@register.filter
def named(user_ids: list[str], names: dict[str, str]) -> list[str]:
    """Return people's names; the id of whom nobody knows any more."""
    return [names.get(one, f"user {one}") for one in user_ids]


@register.filter
def times(count: int) -> range:
    """Return a range to loop over."""
    return range(count)
