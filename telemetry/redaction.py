"""Keeps secrets out of logs and spans."""

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "[redacted]"
_LONGEST = 4_000
_SECRET_KEY = re.compile(r"passw|secret|token(?!_id)|authorization|cookie|api_?key|session(?!_id_hash)|csrf", re.I)
_SECRET_TEXT = re.compile(
    r"(?i)(bearer\s+|gh_|(?:password|secret|token|sessionid|csrftoken)[\"']?\s*[=:]\s*[\"']?)([^\s\"'&;,]{3,})"
)
# Anything that could end a line, move the cursor or turn the reading direction.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def redact(value: Any, *, depth: int = 4) -> Any:
    """Return `value` with secrets replaced, control characters escaped and long text cut."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        if depth == 0:
            return REDACTED
        return {
            str(key): REDACTED if _SECRET_KEY.search(str(key)) else redact(item, depth=depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth=depth - 1) for item in list(value)[:100]] if depth else REDACTED
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return value


def clean(text: str) -> str:
    """Return `text` without secrets that can be told by their form, as one inert line."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text)} characters)"
    text = _SECRET_TEXT.sub(lambda match: match[1] + REDACTED, text)
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
