"""Generations: one counter for all changes, and for each thing the number at which it last changed.

They are fields of one Redis hash, so that they are lost together or not at all. What was made at one number is good
as long as nothing it depends on has a higher one, and the hash is still the same (its `epoch`). So what was begun
before a change is never good after it, wherever and whenever it's stored.
"""

import itertools
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, NamedTuple

from django.db import connection
from redis.exceptions import ResponseError

from caching.connection import ask, key_for
from caching.errors import AwayError
from caching.line import ask_shortly
from caching.metrics import INVALIDATIONS, UNSENT
from telemetry.logs import get_logger

log = get_logger(__name__)

_EVERYTHING = "*"
_MOST_UNSENT = 1_000
_RETRY_SECONDS = 0.25
# Of things that changed. Beyond it the hash begins anew, and each page is made once more.
_MOST_FIELDS = 50_000

_BEGIN = """
if redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1]) == 1 then redis.call('HSET', KEYS[1], 'now', 1) end
return redis.call('HMGET', KEYS[1], 'epoch', 'now')
"""
# Where there's no hash, nothing that was kept is good, so there is nothing to move on.
_MOVE_ON = f"""
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local now = redis.call('HINCRBY', KEYS[1], 'now', 1)
for _, dependency in ipairs(ARGV) do redis.call('HSET', KEYS[1], dependency, now) end
if redis.call('HLEN', KEYS[1]) > {_MOST_FIELDS} then redis.call('DEL', KEYS[1]) end
return now
"""


class Moment(NamedTuple):
    """A point among all changes."""

    epoch: bytes
    number: bytes


_since: ContextVar[Moment | None] = ContextVar("caching_since", default=None)


def begin() -> Moment:
    """Return the moment since which things are read: the present one, or within `reading` that of its beginning.

    Called before anything is read of which something is to be made.

    Raises:
        AwayError: Redis can't be asked.
    """
    if (moment := _since.get()) is not None:
        return moment
    _send_first()
    epoch, number = ask(lambda redis: redis.eval(_BEGIN, 1, key_for("generations"), secrets.token_hex(8)))
    return Moment(epoch, number)


@contextmanager
def reading(moment: Moment | None = None) -> Iterator[None]:
    """Let all that is made in the block be of this moment, the present one by default.

    A part of a page may be made of what was read long before the part was begun, as by the page's view.
    """
    if moment is None and not connection.in_atomic_block:
        with suppress(AwayError):
            moment = begin()
    token = _since.set(moment)
    try:
        yield
    finally:
        _since.reset(token)


def is_reading() -> bool:
    """Whether a block of `reading` runs that knows its moment."""
    return _since.get() is not None


def now() -> Moment | None:
    """Return the present moment for a comparison; None where nothing that was kept is good. Raises AwayError."""
    if _unsent:
        _send_first()
    epoch, number = ask_shortly("HMGET", key_for("generations"), "epoch", "now")
    return Moment(epoch, number) if epoch is not None else None


def still_good(kept: Sequence[tuple[Moment, Sequence[str]]]) -> tuple[Moment | None, list[bool]]:
    """Say of each thing, made at a moment of dependencies, whether it's good, and as of which moment.

    Raises:
        AwayError: Redis can't be asked.
    """
    _send_first()
    wanted = sorted({dependency for _, dependencies in kept for dependency in dependencies})
    key = key_for("generations")
    epoch, number, *found = ask(lambda redis: redis.execute_command("HMGET", key, "epoch", "now", *wanted))
    if epoch is None:
        return None, [False] * len(kept)
    changed = {name: int(value) for name, value in zip(wanted, found, strict=True) if value is not None}
    return Moment(epoch, number), [
        moment.epoch == epoch and all(changed.get(name, 0) <= int(moment.number) for name in dependencies)
        for moment, dependencies in kept
    ]


# --- moving on -----------------------------------------------------------------------------------------------------

_lock = threading.Lock()
# What Redis is still to be told, each with a number of its own, until it was: while there is any, nobody here looks.
_unsent: dict[str, int] = {}
_numbers = itertools.count()
_retrying: threading.Thread | None = None


def invalidate(dependencies: Iterable[str]) -> None:
    """Let nothing count any more that was made of these.

    Where Redis can't be reached, it's done as soon as it can be, and till then this process uses no cache.
    """
    wanted = set(dependencies)
    if not wanted:
        return
    for one in wanted:
        INVALIDATIONS.labels(one.partition(":")[0]).inc()
    with _lock:
        _unsent.update((one, next(_numbers)) for one in wanted)
        if len(_unsent) > _MOST_UNSENT:
            _unsent.clear()
            _unsent[_EVERYTHING] = next(_numbers)
    if not _send():
        _retry_in_background()


def invalidate_everything() -> None:
    """Let nothing count any more, such as after derived columns were written anew, which the ledger doesn't tell."""
    invalidate({_EVERYTHING})


def _send(*, is_trying: bool = False) -> bool:
    """Move on what is to be moved on; return whether that's done."""
    with _lock:
        batch = dict(_unsent)
    if not batch:
        return True
    try:
        ask(lambda redis: _move_on(redis, batch), is_trying=is_trying)
    except AwayError:
        UNSENT.set(len(_unsent))
        return False
    with _lock:
        for one, number in batch.items():
            if _unsent.get(one) == number:  # else it changed once more meanwhile
                del _unsent[one]
    UNSENT.set(len(_unsent))
    return True


def _move_on(redis: Any, batch: Iterable[str]) -> None:
    key = key_for("generations")
    if _EVERYTHING in batch:
        redis.delete(key)
        return
    try:
        redis.eval(_MOVE_ON, 1, key, *sorted(batch))
    except ResponseError:
        # A Redis that is full takes no write, but lets go: then nothing counts, which is right too.
        redis.delete(key)


def _send_first() -> None:
    if _unsent and not _send():
        raise AwayError(AwayError.__doc__)


def _retry_in_background() -> None:
    global _retrying
    with _lock:
        if _retrying is not None and _retrying.is_alive():
            return
        _retrying = threading.Thread(target=_retry, name="caching-invalidations", daemon=True)
        _retrying.start()


def _retry() -> None:
    global _retrying
    pause = threading.Event()
    while True:
        while not _send(is_trying=True):
            pause.wait(_RETRY_SECONDS)
        with _lock:
            if not _unsent:
                _retrying = None
                break
    log.info("caching.invalidations_sent")
