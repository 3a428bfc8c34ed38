"""What every line goes through: ids, redaction, rendering, and one write.

In production a line is one JSON object with `timestamp` (UTC, in microseconds), `level`, `logger`, `event`, the ids of
the context, and its fields.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from telemetry.context import Actor, current
from telemetry.logs import exceptions, json_lines
from telemetry.logs.output import OUTPUT, count_lost
from telemetry.metrics import counter
from telemetry.redaction import REDACTED, clean, is_secret_name, redact

Render = Callable[[dict[str, Any]], bytes]
Listener = Callable[[Mapping[str, Any]], None]

LINES = counter("telemetry_log_lines_total", "Log lines written, by level.", ["level"])
_LEVELS = {name: LINES.labels(name) for name in ("debug", "info", "warning", "error", "critical")}
_OWN_KEYS = frozenset({"timestamp", "level", "logger", "event"})
_ATOMS = frozenset({int, float, bool, type(None)})
_MOST_NAMES = 2_048  # of fields, that are remembered
_LONGEST_NAME = 100
_DEEPEST = 6  # a field that is an object may hold others, as deep as that

_render: Render | None = None  # for people; None is JSON
_listeners: list[Listener] = []
_names: dict[str, str] = {}
_second = (0, "")  # the latest, and how it's written


def render_with(render: Render | None) -> None:
    """Write lines as `render` has them, or as JSON."""
    global _render
    _render = render


def listen(listener: Listener) -> None:
    """Let `listener` see each line that is written, as a redacted dict that it mustn't change; it doesn't wait."""
    if listener not in _listeners:
        _listeners.append(listener)


def level_name(number: int) -> str:
    """Return the name of the nearest level that is not above `number`; what is below `debug` is `debug` too."""
    if number >= logging.ERROR:
        return "critical" if number >= logging.CRITICAL else "error"
    if number >= logging.INFO:
        return "warning" if number >= logging.WARNING else "info"
    return "debug"


def interpolated(event: str, args: tuple[Any, ...]) -> str:
    """Return `event` with `args` put in by `%`; where they don't fit, they are told after it."""
    try:
        return str(event) % args
    except Exception:
        return f"{event} {args!r}"


def write(logger: str, level: str, event: Any, fields: Mapping[str, Any], at: float | None = None) -> None:
    """Write one line; `at` is its time in seconds since the epoch, if not now. It doesn't raise."""
    try:
        line = _as_line(logger, level, event, fields, at)
        if OUTPUT.write(json_lines.encode(line) if _render is None else _render(line)):
            _LEVELS[level].inc()
    except Exception as error:
        write_fault(logger, level, error)
        return
    for listener in _listeners:
        try:
            listener(line)
        except Exception:
            count_lost("listener")


def write_fault(logger: str, level: str, error: Exception) -> None:
    """Tell of a line that couldn't be made: whoever looks for it finds where it would have been."""
    with suppress(Exception):
        count_lost("failed")
        line = {"timestamp": _now(None), "level": level, "logger": str(logger), "event": "log.line_failed"}
        OUTPUT.write(json_lines.encode({**line, "error_type": type(error).__name__}))


def _as_line(logger: str, level: str, event: Any, fields: Mapping[str, Any], at: float | None) -> dict[str, Any]:
    line = {
        "timestamp": _now(at),
        "level": level,
        "logger": clean(logger),
        "event": clean(event) if type(event) is str else redact(event),
    }
    _add_ids(line)
    for key, value in fields.items():
        name = _names.get(key)
        if name is None and (name := _learn(key)) is None:
            line[clean(key)] = REDACTED
            continue
        kind = type(value)
        if kind is str:
            line[name] = clean(value)
        elif kind in _ATOMS:
            line[name] = value
        elif key != "exc_info":
            line[name] = redact(value, depth=_DEEPEST)
    given = line.pop("exc_info", None) or fields.get("exc_info")
    if given and (exception := exceptions.exception_of(given)) is not None:
        line["exception"] = exceptions.as_fields(exception) if _render is None else exceptions.as_text(exception)
    return line


def _learn(key: str) -> str | None:
    """Return what a field is called in a line; None where its name says that it's a secret."""
    if is_secret_name(key):
        return None
    name = f"{key}_" if key in _OWN_KEYS else clean(key)
    if len(_names) < _MOST_NAMES and len(key) <= _LONGEST_NAME:
        _names[key] = name
    return name


def _now(at: float | None) -> str:
    global _second
    if at is None:
        at = time.time()
    whole = int(at)
    second, text = _second
    if second != whole:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
        _second = (whole, text)
    return f"{text}.{int((at - whole) * 1e6):06d}Z"


def _add_ids(line: dict[str, Any]) -> None:
    """Add the ids that lead from this line to everything else. A field of the same name is the more exact one."""
    context = current()
    if not context.request_id:
        return
    line["request_id"] = clean(context.request_id)
    if context.trace_id:
        line["trace_id"] = context.trace_id
        line["span_id"] = context.span_id
    if context.task_id:
        line["task_id"] = clean(context.task_id)
    # A lazy actor may need a query; a log line isn't worth one, so only what is known already is told.
    actor = context.actor_source
    if type(actor) is Actor and actor.id:
        line["user_id"] = clean(actor.id)
