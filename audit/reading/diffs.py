"""Changes as people read them: what differs within a text, within JSON, and in a many-to-many field."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from audit import values
from audit.models import Event
from audit.reading import showing
from audit.reading.access import Access

Mark = Literal["same", "old", "new", "skip"]

_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_SHORT = 60  # a text up to here is shown whole, before and after
_LONGEST_COMPARED = 20_000  # characters of each side: comparing words takes time with the square of their number
_CONTEXT = 60  # characters that stay around a difference
_LONGEST_SHOWN = 2_000
_MOST_PATHS = 100


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text: the same on both sides, only in the old or the new one, or left out."""

    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Diff:
    """How one field changed; `kind` says what it's drawn as.

    `value`: `before` and `after` as text, None where there's none. `text`: `pieces` of one text. `paths`: each place
    within JSON that differs, as a value of its own. `members`: what came to a many-to-many field and what went.
    """

    field: str
    kind: Literal["value", "text", "paths", "members"]
    before: str | None = None
    after: str | None = None
    pieces: tuple[Piece, ...] = ()
    paths: tuple["Diff", ...] = ()
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def of_event(event: Event, access: Access) -> list[Diff]:
    """Return how each field changed in an event, as far as its reader may see it."""
    changes = event.changes or {}
    found = []
    for field, (before, after) in showing.differences(event, access).items():
        raw = changes.get(field)
        is_members = isinstance(raw, dict) and raw and raw.keys() <= {"added", "removed"}
        if is_members and event.action.endswith(".updated") and after not in (showing.PERSONAL, showing.MASKED):
            found.append(Diff(field, "members", removed=_members(before), added=_members(after)))
        else:
            found.append(between(field, before, after))
    return found


def between(field: str, before: Any, after: Any) -> Diff:
    """Return how a field went from one value to another; None is no value."""
    if _is_nested(before) and _is_nested(after):
        paths = tuple(islice(_paths(before, after, ""), _MOST_PATHS + 1))
        if len(paths) <= _MOST_PATHS:
            return Diff(field, "paths", paths=paths)
    if isinstance(before, str) and isinstance(after, str) and max(len(before), len(after)) > _SHORT:
        return Diff(field, "text", pieces=tuple(_collapsed(_pieces(before, after))))
    return Diff(field, "value", _text(before), _text(after))


def _members(value: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, list) else ()


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list) and not (isinstance(value, dict) and _mark(value))


def _mark(value: dict[str, Any]) -> str:
    """What stands in for a value that isn't shown whole; empty where `value` is no such mark."""
    if value == showing.PERSONAL:
        return "hidden: personal"
    if value == showing.MASKED:
        return "hidden: masked"
    if value.keys() == {"masked"}:
        return f"masked · {str(value['masked'])[:8]}"
    if value.keys() == {"cut", "length", "sha256"}:
        return f"{str(value['cut'])[:_LONGEST_SHOWN]}… ({value['length']:,} characters)"
    return ""


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, dict) and (mark := _mark(value)):
        return mark
    text = value if isinstance(value, str) else values.dumps(value).decode()
    if text == "":
        return "empty"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(text):,} characters)"


def _pieces(before: str, after: str) -> Iterator[Piece]:
    """Compare word by word, and what is too long for that line by line."""
    is_long = max(len(before), len(after)) > _LONGEST_COMPARED
    old, new = ((text.splitlines(keepends=True) if is_long else _WORD.findall(text)) for text in (before, after))
    # With the default, words that are frequent would count as noise.
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=is_long)
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag == "equal":
            yield Piece("same", "".join(old[old_from:old_to]))
            continue
        if old_to > old_from:
            yield Piece("old", "".join(old[old_from:old_to]))
        if new_to > new_from:
            yield Piece("new", "".join(new[new_from:new_to]))


def _collapsed(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Leave out the middle of long stretches that are the same, and of long ones that came or went."""
    for piece in pieces:
        most = 2 * _CONTEXT if piece.mark == "same" else _LONGEST_SHOWN
        left_out = len(piece.text) - most
        if left_out <= _CONTEXT:
            yield piece
            continue
        yield Piece(piece.mark, piece.text[: most // 2])
        yield Piece("skip", f"{left_out:,}")
        yield Piece(piece.mark, piece.text[-(most // 2) :])


def _paths(before: Any, after: Any, path: str) -> Iterator[Diff]:
    """Each place within two JSON values that differs, by its path."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _paths(before.get(key), after.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list):
        for place in range(max(len(before), len(after))):
            old, new = (side[place] if place < len(side) else None for side in (before, after))
            yield from _paths(old, new, f"{path}[{place}]")
    elif before != after:
        yield Diff(path, "value", _text(before), _text(after))
