"""Recent log lines by the request that they tell of, in Redis beside its spans; bounded in number, size and time.

Kept are warnings and worse, and of pieces of work that are recorded whatever they told on their way. Like spans they
leave by a bounded queue and a thread of their own: what doesn't fit, or what Redis doesn't take, is lost, and counted.
"""

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
import redis

from telemetry import conf
from telemetry.metrics import counter
from telemetry.tracing.attributes import SAMPLING_DECISION
from telemetry.tracing.store import KEPT_REQUESTS, KEPT_SECONDS
from telemetry.tracing.work import running, unobserved

CANONICAL = frozenset({"http.request", "task.run", "websocket.closed"})  # they say what a span says as well
LINES_A_REQUEST = 200
CAPACITY = 4_096  # lines that wait

_LOUD = frozenset({"warning", "error", "critical", "exception", "fatal"})
_BATCH = 64
_INTERVAL_SECONDS = 0.25
_LONGEST_LINE = 16_000  # bytes
_LONGEST_FLUSH_SECONDS = 2.0
_INDEX = "lines"  # request ids by the time of their latest line

# One call for a batch: a command for each line, and for each bound, would cost the writing process five times that.
_APPEND = """
local now, seconds, requests, lines = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
for place = 2, #KEYS do
    local key = 'lines:' .. KEYS[place]
    if redis.call('RPUSH', key, ARGV[place + 3]) > lines then redis.call('LTRIM', key, 0, lines - 1) end
    redis.call('EXPIRE', key, seconds)
    redis.call('ZADD', KEYS[1], now, KEYS[place])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - seconds)
local surplus = redis.call('ZCARD', KEYS[1]) - requests
if surplus > 0 then
    local oldest = redis.call('ZPOPMIN', KEYS[1], surplus)
    for place = 1, #oldest, 2 do redis.call('DEL', 'lines:' .. oldest[place]) end
end
"""

DROPPED = counter(
    "telemetry_recent_lines_dropped_total", "Log lines that the store of recent lines lost, by reason.", ["reason"]
)


class RecentLines:
    """Writes lines by their request, and reads them. A Redis that is down costs lines, never requests."""

    def __init__(self, url: str, capacity: int = CAPACITY) -> None:
        self._url = url
        self._capacity = capacity
        self.begin()

    def begin(self) -> None:
        """Have an empty queue: in a forked child too, since what waits is its parent's to write."""
        self._waiting: deque[dict[str, Any]] = deque()
        self._changing = threading.Lock()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        # redis-py's types cover its asyncio twin as well, so nothing of an answer could be used without a cast.
        self._redis: Any = redis.Redis.from_url(
            self._url, socket_timeout=1, socket_connect_timeout=1, decode_responses=True
        )
        self._append = self._redis.register_script(_APPEND)

    def keep(self, event: Mapping[str, Any]) -> None:
        """Take a line, redacted already, if it's one that is kept; never raises, never waits."""
        try:
            if not _is_kept(event) or not event.get("request_id"):
                return
            if len(self._waiting) >= self._capacity:
                DROPPED.labels("queue_full").inc()
                return
            self._waiting.append(dict(event))  # renderers take theirs apart
            if self._thread is None:
                self._start()
        except Exception:
            DROPPED.labels("refused").inc()

    def flush(self, timeout_seconds: float = _LONGEST_FLUSH_SECONDS) -> bool:
        """Write what waits, in the calling thread; False where that took too long."""
        deadline = time.monotonic() + timeout_seconds
        if not self._writing.acquire(timeout=timeout_seconds):
            return False
        try:
            while self._waiting and time.monotonic() < deadline:
                self._write(self._take())
        finally:
            self._writing.release()
        return not self._waiting

    def stop(self) -> None:
        """Write what can be within two seconds, and count the rest as lost: for the end of the process."""
        if not self.flush():
            DROPPED.labels("shutdown").inc(len(self._waiting))

    def lines_of(self, request_id: str) -> list[dict[str, Any]]:
        """Return the kept lines of a request in the order of their times, at most 200.

        Raises:
            redis.RedisError: the store doesn't answer.
        """
        lines = [orjson.loads(raw) for raw in self._redis.lrange(f"lines:{request_id}", 0, -1)]
        return sorted(lines, key=lambda line: str(line.get("timestamp", "")))

    def _start(self) -> None:
        # Whoever writes in a signal's handler may have been in here already: nobody waits for the lock.
        if not self._changing.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="telemetry-lines", daemon=True)
                self._thread.start()
        finally:
            self._changing.release()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(_INTERVAL_SECONDS)
            self.flush()

    def _take(self) -> list[dict[str, Any]]:
        batch: list[dict[str, Any]] = []
        while self._waiting and len(batch) < _BATCH:
            batch.append(self._waiting.popleft())
        return batch

    def _write(self, batch: list[dict[str, Any]]) -> None:
        try:
            request_ids = [str(event["request_id"]) for event in batch]
            bounds = [time.time(), KEPT_SECONDS, KEPT_REQUESTS, LINES_A_REQUEST]
            with unobserved():
                self._append([_INDEX, *request_ids], [*bounds, *map(_encoded, batch)])
        except Exception:
            DROPPED.labels("failed").inc(len(batch))


def recent_lines() -> RecentLines:
    """Return the store that this project's processes write to, to read from it."""
    return RecentLines(conf.redis_url())


@cache
def _kept() -> RecentLines | None:
    if not conf.redis_url():
        return None
    lines = recent_lines()
    os.register_at_fork(after_in_child=lines.begin)
    atexit.register(lines.stop)
    return lines


def keep(event: Mapping[str, Any]) -> None:
    """Keep a line of this process if it is one that is kept: for the end of the logging pipeline, after redaction."""
    if (lines := _kept()) is not None:
        lines.keep(event)


def flush(timeout_seconds: float = _LONGEST_FLUSH_SECONDS) -> bool:
    """Write what this process has kept; for its end and for tests. False where that took too long."""
    return (lines := _kept()) is None or lines.flush(timeout_seconds)


def _is_kept(event: Mapping[str, Any]) -> bool:
    level = event.get("level")
    if level in _LOUD:
        return True
    if level == "debug" or event.get("event") in CANONICAL:
        return False
    # What isn't recorded would fill the store with lines that nobody comes to read.
    work = running()
    return work is not None and (work.span.context.trace_flags.sampled or SAMPLING_DECISION in work.span.attributes)


def _encoded(event: dict[str, Any]) -> bytes:
    line = orjson.dumps({**event, "process": conf.process()}, default=str, option=orjson.OPT_NON_STR_KEYS)
    if len(line) <= _LONGEST_LINE:
        return line
    known = ("timestamp", "level", "event", "logger", "request_id", "trace_id", "span_id", "task_id")
    short = {key: str(event[key])[:200] for key in known if key in event}
    return orjson.dumps({**short, "process": conf.process(), "cut": f"{len(line):,} bytes"})
