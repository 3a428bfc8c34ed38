"""The low level: counts and lists that cost one query to make, many of them in one go. Nobody waits for a lock here."""

import time
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import TypeVar, cast

from django.core.cache import caches
from django.db import connection

from caching import entries, generations
from caching.connection import ALIAS, release
from caching.dependencies import dependency, depends_on, every, include
from caching.entries import KEPT_SECONDS, Entry
from caching.errors import AwayError
from caching.metrics import BYPASSES, LOOKUPS, REBUILD_DURATION

_LEVEL = "value"
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

for _result in ("hit", "miss", "stale"):
    LOOKUPS.labels(_LEVEL, "redis", _result)


def value(name: str, make: Callable[[], V], *, kind: str) -> V:
    """Return the value under a name, made of all things of a kind together, such as how many there are."""
    depends_on(kind)
    if (reason := _bypass_reason()) is None:
        try:
            return _value(name, make, kind)
        except AwayError:
            reason = "away"
    BYPASSES.labels(_LEVEL, reason).inc()
    return make()


def values(
    name: str, object_ids: Collection[K], make: Callable[[Collection[K]], Mapping[K, V]], *, kind: str
) -> dict[K, V]:
    """Return a value for each of some things of a kind; `make` gives those that are missing, all at once."""
    for object_id in object_ids:
        depends_on(kind, object_id)
    if not object_ids:
        return {}
    if (reason := _bypass_reason()) is None:
        try:
            return _values(name, object_ids, make, kind)
        except AwayError:
            reason = "away"
    BYPASSES.labels(_LEVEL, reason).inc()
    return dict(make(object_ids))


def _bypass_reason() -> str | None:
    return "transaction" if connection.in_atomic_block else None


def _value(name: str, make: Callable[[], V], kind: str) -> V:
    key = f"{_LEVEL}:{release()}:{name}"
    moment = generations.begin()
    is_made = False

    def packed() -> tuple[object, ...]:
        nonlocal is_made
        is_made = True
        return entries.pack(_entry(_timed(make), moment, (kind,)))

    entry = entries.unpack(caches[ALIAS].get_or_set(key, packed, KEPT_SECONDS))
    if entry is None:  # Redis went away meanwhile
        return make()
    if is_made:
        result = "miss"
    elif entry.is_fresh and entries.is_good(entry):
        result = "hit"
    else:
        result = "stale"
        entry = _entry(_timed(make), moment, (kind,))
        entries.save(key, entry)
    LOOKUPS.labels(_LEVEL, "redis", result).inc()
    include((), entry.made_at)
    return cast(V, entry.value)


def _values(
    name: str, object_ids: Collection[K], make: Callable[[Collection[K]], Mapping[K, V]], kind: str
) -> dict[K, V]:
    keys = {object_id: f"{_LEVEL}:{release()}:{name}:{object_id}" for object_id in object_ids}
    moment = generations.begin()
    packed = caches[ALIAS].get_many(keys.values()) or {}
    kept = {object_id: entry for object_id, key in keys.items() if (entry := entries.unpack(packed.get(key)))}
    _, good = generations.still_good([(entry.moment, entry.dependencies) for entry in kept.values()])
    found: dict[K, V] = {}
    for (object_id, entry), is_so in zip(kept.items(), good, strict=True):
        if is_so and entry.is_fresh:
            found[object_id] = entry.value
            include((), entry.made_at)
    missing = [object_id for object_id in keys if object_id not in found]
    if missing:
        made = _timed(lambda: make(missing))
        new = {
            keys[object_id]: _entry(made[object_id], moment, (dependency(kind, object_id), every(kind)))
            for object_id in missing
        }
        caches[ALIAS].set_many({key: entries.pack(entry) for key, entry in new.items()}, KEPT_SECONDS)
        found |= made
    for result, number in (
        ("hit", len(keys) - len(missing)),
        ("stale", len(kept) - (len(keys) - len(missing))),
        ("miss", len(keys) - len(kept)),
    ):
        LOOKUPS.labels(_LEVEL, "redis", result).inc(number)
    return found


def _entry(made: object, moment: generations.Moment, dependencies: tuple[str, ...]) -> Entry:
    return Entry(made, moment, dependencies, time.time(), 0)


def _timed(make: Callable[[], V]) -> V:
    begun = time.perf_counter()
    made = make()
    REBUILD_DURATION.labels(_LEVEL).observe(time.perf_counter() - begun)
    return made
