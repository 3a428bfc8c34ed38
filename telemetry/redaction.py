"""Keeps secrets out of logs, spans and whatever else tells people what happened.

Most texts hold none and come again and again, so what is cheap is asked first: short texts and names are remembered,
and the expressions run only on a text that holds one of their marks.
"""

import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from telemetry import conf

REDACTED = "[redacted]"
_LONGEST = 4_000
_LONGEST_SECRET = 1_000  # so far beyond the cut is looked, for a secret that the cut would halve
_LONGEST_REMEMBERED = 100
_MOST_ITEMS = 100  # of one collection
_MOST_ITEMS_IN_ALL = 2_000
_ATOMS = frozenset({bool, int, float, type(None)})
_PLAIN = (bool, int, float, date, time, timedelta, Decimal, UUID, type(None))
_BYTES = (bytes, bytearray, memoryview)
_SECRET_KEY = re.compile(
    r"passw|passphrase|secret|token(?!_id)|authorization|cookie|session(?!_id_hash)|csrf|credential"
    r"|(?:api|access|private)[_-]?key",
    re.I,
)
# Most texts have none of these, in small letters. Those that need neither `=` nor `:` come first.
_DATABASE_MARKS = ("detail:", "line ", "invalid input")
_BARE_MARKS = ("gh_", "bearer", "eyj", "private key")
_SUSPICIOUS = (
    *_BARE_MARKS,
    *("pass", "secret", "token", "authori", "cookie", "session", "csrf", "credential", "key", "://"),
    *_DATABASE_MARKS,
)
# Possessive quantifiers (`*+`) never go back, or a text of many "token" would cost the square of its length.
_SECRET_TEXT = re.compile(
    r"""
    ( bearer\s++ | gh_
    | (?: passw | passphrase | secret | token(?!_id) | authorization | cookie | session_?(?:id(?!_hash)|key) | csrf
      | credential | (?:api|access|private)[_-]?key ) [\w-]*+ [\]"'\\]*+ \s*+[=:]\s*+ )
    ( (?: (?:bearer|basic|token|digest)\s++ )?
      (?: \\?"[^"]*"? | \\?'[^']*'? | [^\s"'&;,]+ ) )
    """,
    re.I | re.X,
)
_JSON_WEB_TOKEN = re.compile(r"\beyJ[\w-]{8,}\.[\w.-]+")
_PRIVATE_KEY = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\Z)", re.S)
_URL_PASSWORD = re.compile(r"(://[^\s/:@]*:)[^\s/]+(?=@)")
# What PostgreSQL adds to an error: the values of the row, key or parameter that it refused, or the statement itself.
_DATABASE_VALUES = re.compile(r"(DETAIL:|LINE \d+:|JSON data, line \d+:|invalid input [\w ]++:)[^\n]+")
# Anything that could end a line, move the cursor, turn the reading direction or be no valid UTF-8.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def redact(value: Any, *, depth: int = 4) -> Any:
    """Return `value` with secrets replaced, control characters escaped and long text cut. It never raises."""
    kind = type(value)
    if kind is str:
        return clean(value)
    if kind in _ATOMS:
        return value
    return _redact(value, depth, [_MOST_ITEMS_IN_ALL])


def is_secret_name(name: str) -> bool:
    """Whether what is called so is a secret, whatever it looks like."""
    return _is_short_secret_name(name) if len(name) <= _LONGEST_REMEMBERED else bool(_SECRET_KEY.search(name))


@lru_cache(maxsize=4_096)
def _is_short_secret_name(name: str) -> bool:
    return _SECRET_KEY.search(name) is not None


def clean(text: str) -> str:
    """Return `text` without secrets that can be told by their form, as one inert line."""
    return _clean_short(text) if len(text) <= _LONGEST_REMEMBERED else _clean(text)


def _clean(text: str) -> str:
    length = len(text)
    if length > _LONGEST:
        text = hide(text[: _LONGEST + _LONGEST_SECRET])
        text = f"{text[:_LONGEST]}… ({length} characters)"
    else:
        text = hide(text)
    if text.isprintable():
        return text
    return _CONTROL.sub(_escape, text)


_clean_short = lru_cache(maxsize=8_192)(_clean)


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def hide(text: str) -> str:
    """Return `text` with secrets replaced that can be told by their form, or are this project's own; else as it is."""
    if not text:
        return text
    for known in conf.secrets():
        if known in text:
            text = text.replace(known, REDACTED)
    # `casefold`, not `lower`: to the expressions a long s is an s.
    folded = text.casefold()
    if not _has_mark(folded, _SUSPICIOUS if "=" in text or ":" in text else _BARE_MARKS):
        return text
    if _has_mark(folded, _DATABASE_MARKS):
        text = _DATABASE_VALUES.sub(rf"\1 {REDACTED}", text)
    text = _SECRET_TEXT.sub(rf"\1{REDACTED}", text)
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\1{REDACTED}", text)
    if "private key" in folded:
        text = _PRIVATE_KEY.sub(rf"\1{REDACTED}", text)
    return _JSON_WEB_TOKEN.sub(REDACTED, text) if "eyj" in folded else text


def _has_mark(folded: str, marks: tuple[str, ...]) -> bool:
    for mark in marks:  # noqa: SIM110  a generator costs twice as much
        if mark in folded:
            return True
    return False


def hide_in(value: Any) -> Any:
    """Return JSON-able `value` with secrets replaced by their names and forms, and all else as it is."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {key: REDACTED if is_secret_name(str(key)) else hide_in(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [hide_in(item) for item in value]
    return value


def _redact(value: Any, depth: int, budget: list[int]) -> Any:
    """Redact what may hold other things; `budget` is how many more items are looked at in all."""
    try:
        if isinstance(value, str):
            return clean(value)
        if isinstance(value, _PLAIN):
            return value
        if isinstance(value, Mapping):
            return _redact_mapping(value, depth, budget) if depth else REDACTED
        if isinstance(value, list | tuple | set | frozenset):
            return [_redact_item(item, depth - 1, budget) for item in _some(value, budget)] if depth else REDACTED
        if isinstance(value, _BYTES):
            return f"<{len(value)} bytes>"
    except Exception:
        return f"<{type(value).__name__}>"
    return clean(_text_of(value))


def _redact_mapping(value: Mapping[Any, Any], depth: int, budget: list[int]) -> dict[str, Any]:
    redacted: dict[str, Any] = {}
    for key, item in _some(value.items(), budget):
        name = _text_of(key)
        redacted[clean(name)] = REDACTED if is_secret_name(name) else _redact(item, depth - 1, budget)
    return redacted


def _redact_item(item: Any, depth: int, budget: list[int]) -> Any:
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):  # a header, a form's field
        return [clean(item[0]), REDACTED if is_secret_name(item[0]) else _redact(item[1], depth, budget)]
    return _redact(item, depth, budget)


def _some(collection: Any, budget: list[int]) -> list[Any]:
    """Return the collection's first items, as many as may be looked at."""
    items = list(collection)[: max(0, min(_MOST_ITEMS, budget[0]))]
    budget[0] -= len(items)
    return items


def _text_of(value: Any) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"
