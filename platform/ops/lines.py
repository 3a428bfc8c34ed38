"""A story's log lines, as people read them and as the waterfall draws them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ops.exceptions import unescaped
from ops.steps import Span
from telemetry.tracing.lines import CANONICAL

_KNOWN = frozenset(
    ("event", "level", "logger", "timestamp", "request_id", "trace_id", "span_id", "exception", "process", "about")
)
_BAD = frozenset({"error", "critical", "exception", "fatal"})
_QUIET = frozenset({"info", "debug"})
_LONGEST_ABOUT = 160


@dataclass
class Line:
    """One log line; `at_ms` since the story's beginning."""

    key: str
    at: datetime | None
    event: str
    level: str
    logger: str
    process: str
    span_id: str
    fields: dict[str, Any] = field(default_factory=dict)
    exception: str = ""
    at_ms: float = 0.0

    @property
    def is_error(self) -> bool:
        """Whether something failed."""
        return self.level in _BAD

    @property
    def is_quiet(self) -> bool:
        """Whether the line only tells what the spans tell as well."""
        return self.level in _QUIET

    @property
    def at_ns(self) -> int:
        """When it was written; 0 where it doesn't say."""
        return round(self.at.timestamp() * 1_000_000) * 1_000 if self.at else 0


def read(events: Iterable[Mapping[str, Any]]) -> list[Line]:
    """Return the lines that were kept of a request."""
    return [
        Line(
            key=f"line-{number}",
            at=_moment(event.get("timestamp")),
            event=str(event.get("event", "")),
            level=str(event.get("level", "")),
            logger=str(event.get("logger", "")),
            process=str(event.get("process", "")),
            span_id=str(event.get("span_id", "")),
            fields={key: value for key, value in event.items() if key not in _KNOWN and value not in (None, "")},
            exception=_traceback(event.get("exception")),
        )
        for number, event in enumerate(events, 1)
    ]


def as_spans(lines: Iterable[Line]) -> list[Span]:
    """Return warnings and worse as spans without duration, so that a waterfall holds them below their work.

    A canonical line tells what its work's own row does.
    """
    return [
        {
            "span_id": line.key,
            "trace_id": "",
            "parent_id": line.span_id,
            "name": line.event,
            "kind": "log",
            "start_ns": line.at_ns,
            "end_ns": line.at_ns,
            "status": "error" if line.is_error else "ok",
            "process": line.process,
            "attributes": {"level": line.level, "about": told(line.fields), **line.fields},
            "events": _notes(line),
            "links": [],
        }
        for line in lines
        if line.at and not line.is_quiet and line.event not in CANONICAL
    ]


def told(fields: Mapping[str, Any]) -> str:
    """Return a line's fields in one short text."""
    text = ", ".join(f"{key}={value}" for key, value in fields.items())
    return text if len(text) <= _LONGEST_ABOUT else f"{text[:_LONGEST_ABOUT]}…"


def _notes(line: Line) -> list[dict[str, Any]]:
    if not line.exception:
        return []
    told_as = {"exception.stacktrace": line.exception}
    return [{"name": "exception", "time_ns": line.at_ns, "attributes": told_as}]


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.astimezone()


def _traceback(value: Any) -> str:
    """A traceback as people read it, of text, of its lines, or of one dictionary for each exception of the chain."""
    if isinstance(value, str):
        return unescaped(value)
    if not isinstance(value, list):
        return ""
    return "\n".join(line for part in value for line in (_stack(part) if isinstance(part, dict) else [str(part)]))


def _stack(stack: Mapping[str, Any]) -> list[str]:
    """One exception of a chain, the innermost frame last."""
    frames = stack.get("frames") or ()
    return [
        *(["which came of:"] if stack.get("is_cause") else []),
        *(f"  {_frame(one)}" for one in frames),
        f"{stack.get('exc_type')}: {stack.get('exc_value')}",
        *(f"  {note}" for note in stack.get("exc_notes") or ()),
    ]


def _frame(frame: Any) -> str:
    if isinstance(frame, dict):
        return f'File "{frame.get("filename")}", line {frame.get("lineno")}, in {frame.get("name")}'
    return str(frame)
