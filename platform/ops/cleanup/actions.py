"""Removing what is of no more use. The ledger has what was removed, and what couldn't be."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta

import redis
from django.db import IntegrityError

import audit
from ops.cleanup.errors import UnknownKindError
from ops.cleanup.kinds import Kind, Piece, known_kinds, pieces_of
from telemetry.logs import get_logger

log = get_logger(__name__)

_MOST_EXAMPLES = 3
# One thing that can't be removed keeps nobody from removing the others.
_FAILURES = (OSError, IntegrityError, redis.RedisError)

Progress = Callable[[str, int], None]


@dataclass(slots=True)
class Heap:
    """What was found of one kind, and removed unless it was a dry run; `failed` says what could not be."""

    kind: str
    count: int = 0
    size_bytes: int = 0
    examples: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def clean_up(
    kinds: Sequence[str] = (),
    *,
    age: timedelta | None = None,
    is_dry_run: bool = False,
    progress: Progress | None = None,
) -> list[Heap]:
    """Remove what the kinds find, all of them where none is named, and return what it was.

    Args:
        age: remove what is older; None leaves that to each kind.
        is_dry_run: find everything, and change nothing.
        progress: called after each piece with the kind and how many things of it are done.

    Raises:
        UnknownKindError: there's no such kind.
    """
    known = known_kinds()
    if unknown := sorted(set(kinds) - known.keys()):
        raise UnknownKindError(f"Nothing is called {', '.join(unknown)}. There are: {', '.join(known)}.")
    chosen = [name for name in known if name in kinds or not kinds]
    heaps = [_clean(name, known[name], age, is_dry_run, progress or _unseen) for name in chosen]
    if not is_dry_run:
        told = {heap.kind: {"count": heap.count, "size_bytes": heap.size_bytes} for heap in heaps}
        failed = {heap.kind: heap.failed for heap in heaps if heap.failed}
        changes = {"removed": told, "older_than_seconds": age and age.total_seconds(), "failed": failed}
        audit.record("ops.rubbish.removed", outcome="error" if failed else "success", changes=changes)
    return heaps


def as_dict(heap: Heap) -> dict[str, object]:
    """Return a heap for programs."""
    return asdict(heap)


def _clean(name: str, kind: Kind, age: timedelta | None, is_dry_run: bool, progress: Progress) -> Heap:
    heap = Heap(name)
    try:
        with audit.reason(f"cleanup of {name}"):
            for piece in pieces_of(kind, age):
                if is_dry_run or _remove(piece, heap):
                    heap.count += piece.things
                    heap.size_bytes += piece.size_bytes
                    if piece.example and len(heap.examples) < _MOST_EXAMPLES:
                        heap.examples.append(piece.example)
                progress(name, heap.count)
    except _FAILURES as error:  # what is to be removed can't even be found
        _note(heap, error)
    return heap


def _remove(piece: Piece, heap: Heap) -> bool:
    try:
        piece.remove()
    except _FAILURES as error:
        _note(heap, error, piece.example)
        return False
    return True


def _note(heap: Heap, error: Exception, example: str = "") -> None:
    log.warning("ops.rubbish_not_removed", kind=heap.kind, example=example, error=str(error))
    if len(heap.failed) < _MOST_EXAMPLES:
        heap.failed.append(f"{example}: {type(error).__name__}".lstrip(": "))


def _unseen(kind: str, count: int) -> None:
    """Nobody watches."""
