"""What something is made of, told while it's being made.

A dependency is a text: a kind such as `blog.posts`, or a kind and a thing's id, such as `blog.post:42`. Whatever
depends on one thing of a kind depends on `blog.post:*` too, which is moved on where nobody knows which ones changed.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from math import inf


@dataclass(slots=True)
class Made:
    """What is known of a thing that is being made; `unstored` says why it may not be kept, if so.

    It's as old as the oldest of its kept parts, which was made at `oldest_at`.
    """

    dependencies: set[str] = field(default_factory=set)
    oldest_at: float = inf
    unstored: str = ""


_making: ContextVar[Made | None] = ContextVar("caching_making", default=None)


def dependency(kind: str, object_id: object = None) -> str:
    """Return the dependency on a kind as such, or on one thing of it."""
    return kind if object_id is None else f"{kind}:{object_id}"


def every(kind: str) -> str:
    """Return what stands for all things of a kind at once."""
    return f"{kind}:*"


def depends_on(kind: str, object_id: object = None) -> None:
    """Say that what is being made, if anything, shows this; call it before or after reading, but call it."""
    if (made := _making.get()) is not None:
        made.dependencies.add(dependency(kind, object_id))
        if object_id is not None:
            made.dependencies.add(every(kind))


def leave_unstored(reason: str) -> None:
    """Say that what is being made may not be kept; `reason` is a fixed word, for a metric."""
    if (made := _making.get()) is not None:
        made.unstored = made.unstored or reason


def include(dependencies: Iterable[str], made_at: float) -> None:
    """Say that a part of what is being made, if anything, was kept: made at a time, of these."""
    if (made := _making.get()) is not None:
        made.dependencies.update(dependencies)
        made.oldest_at = min(made.oldest_at, made_at)


@contextmanager
def making() -> Iterator[Made]:
    """Collect what is told in the block; what stands around it depends on the same."""
    made = Made()
    token = _making.set(made)
    try:
        yield made
    finally:
        _making.reset(token)
        if (outer := _making.get()) is not None:
            outer.dependencies |= made.dependencies
            outer.oldest_at = min(outer.oldest_at, made.oldest_at)
            outer.unstored = outer.unstored or made.unstored
