"""A line as JSON, within the length that reaches the reader whole.

POSIX guarantees that a write of at most PIPE_BUF bytes to a pipe happens at once or not at all. So a line that long is
never half-written, whatever signal ends the process, and never mixed with one of another thread or process, though
nobody takes a lock: a signal's handler may write too. What is longer is cut until it fits.
"""

from typing import Any

import orjson

from telemetry.redaction import clean

LONGEST_BYTES = 4_096  # PIPE_BUF of Linux, with the line's end
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
_IDS = ("timestamp", "level", "logger", "event", "request_id", "trace_id", "span_id", "task_id", "user_id")
_CUTS = ((2_000, 100), (1_000, 60), (500, 40), (200, 20), (80, 8))  # the longest text, and the longest list


def encode(line: dict[str, Any]) -> bytes:
    """Return the line in JSON with its end; what JSON can't hold is told by its text."""
    try:
        encoded = orjson.dumps(line, default=_text, option=_OPTIONS)
    except Exception:  # an integer of more than 64 bits, a time with a zone, an enumeration of something odd …
        encoded = orjson.dumps(_plain(line), option=_OPTIONS)
    return encoded if len(encoded) <= LONGEST_BYTES else _fitted(orjson.loads(encoded), len(encoded))


def _fitted(line: dict[str, Any], length: int) -> bytes:
    for longest, most in _CUTS:
        shorter = {key: _cut(value, longest, most) for key, value in line.items()}
        encoded = orjson.dumps({**shorter, "cut_from_bytes": length}, option=_OPTIONS)
        if len(encoded) <= LONGEST_BYTES:
            return encoded
    ids = {key: str(line[key])[:80] for key in _IDS if key in line}
    return orjson.dumps({**ids, "cut_from_bytes": length}, option=_OPTIONS)


def _cut(value: Any, longest: int, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]}…"
    if isinstance(value, dict):
        return {key: _cut(item, longest, most) for key, item in list(value.items())[:most]}
    if isinstance(value, list):
        if len(value) <= most:
            return [_cut(item, longest, most) for item in value]
        # Its first tell what it is, the last frames of a traceback what went wrong.
        kept = [*value[: most // 4], f"… {len(value) - most} more", *value[-(most - most // 4) :]]
        return [_cut(item, longest, most) for item in kept]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(int(value)) if value.bit_length() <= 256 else f"<an integer of {value.bit_length()} bits>"
    if type(value) in (int, float):
        return value
    return _text(value)


def _text(value: Any) -> str:
    try:
        return clean(str(value))
    except Exception:
        return f"<{type(value).__name__}>"
