"""An exception as fields: what failed, why, and where, briefly enough for a line.

No local variables and no source lines: they hold passwords as well as anything. The frames are those of the code
alone; a span keeps the whole traceback.
"""

import sys
import traceback
from functools import lru_cache
from types import TracebackType
from typing import Any

from telemetry.redaction import clean

_MOST_LINKS = 6  # exceptions of one chain, or of one group
_OUTER_FRAMES = 6
_INNER_FRAMES = 24
_LONGEST_MESSAGE = 1_000


def exception_of(given: Any) -> BaseException | None:
    """Return the exception that `exc_info` means: itself, a triple, or True for the one that is being handled."""
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple) and len(given) == 3 and isinstance(given[1], BaseException):
        return given[1]
    return sys.exception() if given else None


def as_fields(exception: BaseException) -> list[dict[str, Any]]:
    """Return the exception and, after it, what it came from; each with its frames, the innermost last."""
    told: list[dict[str, Any]] = []
    seen: set[int] = set()
    link: BaseException | None = exception
    is_cause = False
    while link is not None and id(link) not in seen and len(told) < _MOST_LINKS:
        seen.add(id(link))
        fields = _one(link)
        if is_cause:
            fields["is_cause"] = True
        if isinstance(link, BaseExceptionGroup):
            fields["exceptions"] = [_one(inner) for inner in link.exceptions[:_MOST_LINKS]]
        told.append(fields)
        is_cause = link.__cause__ is not None
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return told


def as_text(exception: BaseException) -> str:
    """Return the traceback as Python prints it, for people; each line is redacted by itself."""
    lines = "".join(traceback.format_exception(exception)).splitlines()
    if len(lines) > 100:
        lines = [*lines[:20], "…", *lines[-79:]]  # its end says what went wrong
    return "\n".join(map(clean, lines))


def _one(exception: BaseException) -> dict[str, Any]:
    kind = type(exception)
    fields: dict[str, Any] = {
        "exc_type": kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}",
        "exc_value": clean(_text_of(exception)[:_LONGEST_MESSAGE]),
    }
    if notes := getattr(exception, "__notes__", None):
        fields["exc_notes"] = [clean(str(note)[:_LONGEST_MESSAGE]) for note in list(notes)[:10]]
    fields["frames"] = _frames(exception.__traceback__)
    return fields


def _frames(link: TracebackType | None) -> list[str]:
    links: list[TracebackType] = []
    while link is not None:
        links.append(link)
        link = link.tb_next
    left_out = len(links) - _OUTER_FRAMES - _INNER_FRAMES
    if left_out <= 0:
        return [_frame(one) for one in links]
    return [
        *(_frame(one) for one in links[:_OUTER_FRAMES]),
        f"… {left_out} more",
        *(_frame(one) for one in links[-_INNER_FRAMES:]),
    ]


def _frame(link: TracebackType) -> str:
    code = link.tb_frame.f_code
    return f"{_short_path(code.co_filename)}:{link.tb_lineno} {code.co_qualname}"


@lru_cache(maxsize=4_096)
def _short_path(path: str) -> str:
    """The path as it would be imported: without the folder on `sys.path` that it lies in."""
    roots = [root for root in sys.path if root and path.startswith(f"{root}/")]
    return clean(path[len(max(roots, key=len)) + 1 :] if roots else path)


def _text_of(exception: BaseException) -> str:
    try:
        return str(exception)
    except Exception:
        return "<it can't be told>"
