"""Who makes what is missing: one thread in each process, and of these processes one, by a lock in Redis."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from caching.connection import ask
from caching.errors import AwayError

# So long at most a rebuilder that died keeps others from it; one that takes longer isn't alone any more.
LOCK_SECONDS = 3.0

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Turns:
    """The threads of one process that want the same at a time: the first makes it, the others wait for its end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, threading.Event] = {}

    @contextmanager
    def take(self, name: str) -> Iterator[threading.Event | None]:
        """Give None to whoever makes it, and to the others what to wait for."""
        with self._lock:
            running = self._running.get(name)
            if running is None:
                ended = self._running[name] = threading.Event()
        if running is not None:
            yield running
            return
        try:
            yield None
        finally:
            with self._lock:
                del self._running[name]
            ended.set()


@contextmanager
def locked(key: str, *, seconds: float = LOCK_SECONDS) -> Iterator[bool]:
    """Give whether this process got the lock; it's freed at the end, or by itself. Raises AwayError."""
    token = secrets.token_hex(8)
    is_ours = bool(ask(lambda redis: redis.set(key, token, nx=True, px=int(seconds * 1_000))))
    try:
        yield is_ours
    finally:
        if is_ours:
            with suppress(AwayError):  # only ours: after its time was over somebody else may have it
                ask(lambda redis: redis.eval(_RELEASE, 1, key, token))
