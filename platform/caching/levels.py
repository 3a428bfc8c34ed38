"""A level of the cache: look in the process, then in Redis, else make it, once for all who wait."""

import threading
import time
from collections.abc import Callable
from typing import Any

from django.db import connection

from caching import entries, generations
from caching.connection import release
from caching.dependencies import include, making
from caching.entries import Entry
from caching.errors import AwayError
from caching.memory import Memory
from caching.metrics import BYPASSES, LOOKUPS, REBUILD_DURATION, UNSTORED, WAITS
from caching.turns import Turns, locked
from telemetry.logs import get_logger

log = get_logger(__name__)
Build = Callable[[], Any]

# Longer than the lock of one who died; after that a reader makes the page alone.
_WAIT_SECONDS = 4.0
_POLL_SECONDS = 0.02


class Level:
    """One level, such as `page`; one a process, as its threads take turns in it.

    A part (`is_of_parts`) is kept only where `generations.reading` tells when its page began to read.
    """

    def __init__(
        self,
        name: str,
        *,
        memory: Memory | None = None,
        size_of: Callable[[Any], int] = len,
        is_of_parts: bool = False,
    ) -> None:
        self.name = name
        self._is_of_parts = is_of_parts
        self.memory = memory or Memory()
        self._size_of = size_of
        self._turns = Turns()
        self._rebuild = REBUILD_DURATION.labels(name).observe
        self._hit_in_memory = LOOKUPS.labels(name, "memory", "hit").inc
        for tier in ("memory", "redis"):
            for result in ("hit", "miss", "stale", "aged"):
                LOOKUPS.labels(name, tier, result)

    def fetch(self, name: str, build: Build) -> Any:
        """Return the value under a name, that of `build()` where there's none that is good.

        Within a transaction, and without Redis, it's always made: what isn't committed is nobody else's to see.
        """
        reason = "transaction"
        if not connection.in_atomic_block:
            try:
                entry = self._find_or_make(name, build)
            except AwayError:
                reason = "away"
            else:
                include(entry.dependencies, entry.made_at)
                return entry.value
        BYPASSES.labels(self.name, reason).inc()
        return build()

    def recall(self, name: str) -> Any:
        """Return the value that this process has under a name, if it's good and fresh, else None; asks nobody else."""
        entry = self.memory.get(name)
        if entry is None or not entry.is_fresh or connection.in_atomic_block:
            return None
        try:
            if not entries.is_good(entry):
                return None
        except AwayError:
            return None
        self._hit_in_memory()
        return entry.value

    def renew(self, name: str, build: Build, *, older_than_seconds: float) -> bool:
        """Make what isn't there, or is older; return whether it was made. Within a transaction nothing is.

        Raises:
            AwayError: Redis can't be asked.
        """
        if connection.in_atomic_block:
            return False
        entry = self._look(name)
        if entry is not None and entry.age_seconds < older_than_seconds:
            return False
        with entries.fresh_within(older_than_seconds):
            self._make(name, build)
        return True

    def _find_or_make(self, name: str, build: Build) -> Entry:
        found = self._look(name, is_counted=True)
        if found is not None and found.is_fresh:
            return found
        deadline = time.monotonic() + _WAIT_SECONDS
        outcome = "aged"
        while found is None or outcome == "aged":
            with self._turns.take(name) as other:
                if other is None and (made := self._make_in_turn(name, build)) is not None:
                    return made
                if found is not None:  # somebody renews it, and it's right, only old
                    break
                _wait(other, deadline)
            outcome = "waited"
            found = self._look(name)
            if found is None and time.monotonic() >= deadline:
                outcome, found = "gave_up", self._make(name, build)
        WAITS.labels(self.name, outcome).inc()
        return found

    def _make_in_turn(self, name: str, build: Build) -> Entry | None:
        """Make it, or find that somebody just did; None where another process is at it."""
        with locked(f"{self._key(name)}:lock") as is_ours:
            if not is_ours:
                return None
            found = self._look(name)
            return found if found is not None and found.is_fresh else self._make(name, build)

    def _look(self, name: str, *, is_counted: bool = False) -> Entry | None:
        """Return what is good under a name, be it aged."""
        count = self._count if is_counted else _count_not
        entry = self.memory.get(name)
        if entry is not None:
            is_so = entries.is_good(entry)
            if is_so and not entry.is_over:
                count("memory", "hit" if entry.is_fresh else "aged")
                return entry
            count("memory", "miss" if is_so else "stale")
            self.memory.drop(name)
        else:
            count("memory", "miss")
        entry = entries.load(self._key(name))
        if entry is None or entry.is_over:
            count("redis", "miss")
            return None
        if not entries.is_good(entry):
            count("redis", "stale")
            return None
        count("redis", "hit" if entry.is_fresh else "aged")
        self.memory.put(name, entry)
        return entry

    def _make(self, name: str, build: Build) -> Entry:
        moment = generations.begin()  # before anything is read
        begun = time.perf_counter()
        is_reading = generations.is_reading()
        with generations.reading(moment), making() as made:
            value = build()
        self._rebuild(time.perf_counter() - begun)
        made_at = min(time.time(), made.oldest_at)
        entry = Entry(value, moment, tuple(sorted(made.dependencies)), made_at, self._size_of(value))
        if not made.dependencies and not made.unstored:
            # Nothing would ever move it on. That is a fault of whoever made it.
            made.unstored = "no_dependency"
            log.warning("caching.no_dependency", level=self.name, name=name)
        if self._is_of_parts and not is_reading:
            # Its page may have read what it's made of before a change that the moment is after.
            made.unstored = made.unstored or "no_moment"
        if made.unstored:
            UNSTORED.labels(self.name, made.unstored).inc()
            return entry
        entries.save(self._key(name), entry)
        self.memory.put(name, entry)
        return entry

    def _key(self, name: str) -> str:
        return f"{self.name}:{release()}:{name}"

    def _count(self, tier: str, result: str) -> None:
        LOOKUPS.labels(self.name, tier, result).inc()


def _wait(other: threading.Event | None, deadline: float) -> None:
    """Wait for another thread's end; for another process, whose end nobody tells, only a little."""
    remaining = max(0.0, deadline - time.monotonic())
    if other is not None:
        other.wait(remaining)
    else:
        threading.Event().wait(min(_POLL_SECONDS, remaining))


def _count_not(tier: str, result: str) -> None:
    """A look that belongs to one that was counted."""


def forget_process() -> None:
    """Let go what this process keeps in memory; Redis keeps it."""
    for level in (PAGES, FRAGMENTS):
        level.memory.clear()


PAGES = Level("page")
FRAGMENTS = Level("fragment", is_of_parts=True)
