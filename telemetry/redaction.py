"""Keeps secrets out of logs, spans and whatever else tells people what happened."""

import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from telemetry import conf

REDACTED = "[redacted]"
_LONGEST = 4_000
_PLAIN = (bool, int, float, date, time, timedelta, Decimal, UUID, type(None))
_SECRET_KEY = re.compile(
    r"passw|passphrase|secret|token(?!_id)|authorization|cookie|api_?key|session(?!_id_hash)|csrf", re.I
)
# Most texts have none of these, in small letters; to look for them costs a hundredth of the expressions below.
_SUSPICIOUS = (
    *("pass", "secret", "token", "bearer", "gh_", "authori", "cookie", "session", "csrf", "key", "://"),
    *("detail:", "line ", "invalid input"),
)
_SECRET_TEXT = re.compile(
    r"""
    ( bearer\s+ | gh_
    | (?: passw | passphrase | secret | token(?!_id) | authorization | cookie | api_?key | session_?(?:id(?!_hash)|key)
      | csrf ) [\w-]* [\]"'\\]* \s*[=:]\s* )
    ( (?: (?:bearer|basic|token|digest)\s+ )?
      (?: \\?"[^"]*"? | \\?'[^']*'? | [^\s"'&;,]+ ) )
    """,
    re.I | re.X,
)
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")
# What PostgreSQL adds to an error: the values of the row, key or parameter that it refused, or the statement itself.
_DATABASE_VALUES = re.compile(r"(DETAIL:|LINE \d+:|JSON data, line \d+:|invalid input [\w ]+:)[^\n]+")
# Anything that could end a line, move the cursor or turn the reading direction.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def redact(value: Any, *, depth: int = 4) -> Any:
    """Return `value` with secrets replaced, control characters escaped and long text cut."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        if depth == 0:
            return REDACTED
        return {str(key): redact_pair(key, item, depth=depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_item(item, depth - 1) for item in list(value)[:100]] if depth else REDACTED
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return clean(_text_of(value))


def redact_pair(key: Any, value: Any, *, depth: int = 4) -> Any:
    """Return the redacted `value` of what is called `key`: nothing of it where the name says that it's a secret."""
    return REDACTED if _SECRET_KEY.search(str(key)) else redact(value, depth=depth)


def clean(text: str) -> str:
    """Return `text` without secrets that can be told by their form, as one inert line."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text)} characters)"
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", hide(text))


def hide(text: str) -> str:
    """Return `text` with secrets replaced that can be told by their form, or are this project's own; else as it is."""
    if not text:
        return text
    for known in conf.secrets():
        if known in text:
            text = text.replace(known, REDACTED)
    lowered = text.lower()
    if not any(mark in lowered for mark in _SUSPICIOUS):
        return text
    text = _DATABASE_VALUES.sub(rf"\1 {REDACTED}", text)
    text = _SECRET_TEXT.sub(rf"\1{REDACTED}", text)
    return _URL_PASSWORD.sub(rf"\1{REDACTED}", text)


def hide_in(value: Any) -> Any:
    """Return JSON-able `value` with secrets replaced by their names and forms, and all else as it is."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {key: REDACTED if _SECRET_KEY.search(str(key)) else hide_in(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hide_in(item) for item in value]
    return value


def _redact_item(item: Any, depth: int) -> Any:
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):  # a header, a form's field
        return [clean(item[0]), redact_pair(*item, depth=depth)]
    return redact(item, depth=depth)


def _text_of(value: Any) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"
