"""What is kept, and what is known of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.core.cache import caches

from caching import generations
from caching.connection import ALIAS
from caching.generations import Moment

# A page that nobody's change touches lives this long: so late, at most, comes what no echo tells, such as psql's.
FRESH_SECONDS = 270
# An aged one is served for a little longer while another reader renews it.
KEPT_SECONDS = 300

_fresh_seconds: ContextVar[float] = ContextVar("caching_fresh_seconds", default=FRESH_SECONDS)


@dataclass(slots=True)
class Entry:
    """A value, made at `moment` of its dependencies; `seen` is the last moment at which it was found good."""

    value: Any
    moment: Moment
    dependencies: tuple[str, ...]
    made_at: float
    size_bytes: int
    seen: Moment | None = None

    @property
    def age_seconds(self) -> float:
        """How long ago it was made, by the clocks of whoever made it and ours."""
        return time.time() - self.made_at

    @property
    def is_over(self) -> bool:
        """Whether it's too old to be served at all."""
        return self.age_seconds >= KEPT_SECONDS

    @property
    def is_fresh(self) -> bool:
        """Whether nobody need renew it yet."""
        return self.age_seconds < _fresh_seconds.get()


@contextmanager
def fresh_within(seconds: float) -> Iterator[None]:
    """Let parts that are older not count as fresh in the block, which makes a page anew before its time."""
    token = _fresh_seconds.set(seconds)
    try:
        yield
    finally:
        _fresh_seconds.reset(token)


def is_good(entry: Entry) -> bool:
    """Whether nothing changed that the entry was made of; raises AwayError.

    As long as nothing at all changed since it was last found good, that's one short question.
    """
    if entry.seen is not None and entry.seen == generations.now():
        return True
    present, (is_so,) = generations.still_good([(entry.moment, entry.dependencies)])
    if is_so:
        entry.seen = present
    return is_so


def load(key: str) -> Entry | None:
    """Return the entry under a key of Redis, which isn't known to be good; None also where Redis doesn't answer."""
    return unpack(caches[ALIAS].get(key))


def save(key: str, entry: Entry) -> None:
    """Keep the entry in Redis. Should something have changed meanwhile, it won't be found good."""
    caches[ALIAS].set(key, pack(entry), KEPT_SECONDS)


def pack(entry: Entry) -> tuple[Any, ...]:
    """Return the entry as Redis keeps it."""
    return (entry.value, *entry.moment, entry.dependencies, entry.made_at, entry.size_bytes)


def unpack(packed: tuple[Any, ...] | None) -> Entry | None:
    """Return what `pack` packed."""
    if packed is None:
        return None
    value, epoch, number, dependencies, made_at, size_bytes = packed
    return Entry(value, Moment(epoch, number), dependencies, made_at, size_bytes)
