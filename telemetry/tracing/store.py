"""Recent spans in Redis, bounded in number, size and time, so that a request's page works with no collector."""

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import redis
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from telemetry import conf
from telemetry.tracing import records
from telemetry.tracing.finished import FinishedWork

KEPT_SECONDS = 3_600
KEPT_REQUESTS = 5_000
SPANS_A_REQUEST = 2_000
REQUESTS_A_USER = 200

_INDEX = "requests"  # request ids by the time of their latest span
_ROOT_KINDS = ("server", "consumer")
_ABOUT_LINES = re.compile(r"[\t\n]")  # what parts the fields and the lines of a batch
# One call and one text for a batch: the client's packing of commands and arguments would cost the process more than all
# else. The text has two lines for each piece of work: what is known of it, apart by tabs (the request's id, how many
# spans, the trace's id, how many bytes the first span takes where it may stand for the request or 0, whether it's the
# request's own, the user's id, a task's id); and its spans as JSON.
_APPEND = r"""
local now, seconds, requests = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local most_spans, user_requests = tonumber(ARGV[4]), tonumber(ARGV[5])
local refused = 0
local form = '([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t\n]*)\n([^\n]*)\n'
for id, given, trace, root_bytes, is_own, user, task, spans in string.gmatch(ARGV[6], form) do
    local count = tonumber(given)
    if redis.call('INCRBY', 'count:' .. id, count) > most_spans then
        redis.call('INCRBY', 'count:' .. id, -count)
        redis.call('INCRBY', 'lost:' .. id, count)
        redis.call('EXPIRE', 'lost:' .. id, seconds)
        refused = refused + count
    else
        redis.call('RPUSH', 'spans:' .. id, spans)
        redis.call('EXPIRE', 'spans:' .. id, seconds)
    end
    redis.call('EXPIRE', 'count:' .. id, seconds)
    redis.call('ZADD', KEYS[1], now, id)
    redis.call('SET', 'trace:' .. trace, id, 'EX', seconds)
    if root_bytes ~= '0' then
        -- The request's own span stands for it, whichever process tells first.
        local root = string.sub(spans, 2, tonumber(root_bytes) + 1)
        if is_own == '1' then redis.call('SET', 'root:' .. id, root, 'EX', seconds)
        else redis.call('SET', 'root:' .. id, root, 'EX', seconds, 'NX') end
    end
    if user ~= '' then
        redis.call('ZADD', 'user:' .. user, now, id)
        redis.call('ZREMRANGEBYRANK', 'user:' .. user, 0, -user_requests - 1)
        redis.call('EXPIRE', 'user:' .. user, seconds)
    end
    if task ~= '' then redis.call('SET', 'task:' .. task, id, 'EX', seconds) end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - seconds)
local surplus = redis.call('ZCARD', KEYS[1]) - requests
if surplus > 0 then
    local oldest = redis.call('ZPOPMIN', KEYS[1], surplus)
    for place = 1, #oldest, 2 do
        local id = oldest[place]
        redis.call('DEL', 'spans:' .. id, 'count:' .. id, 'root:' .. id, 'lost:' .. id)
    end
end
return refused
"""


class RecentSpans(SpanExporter):
    """Writes spans by the request they belong to; a span without a request isn't kept here."""

    def __init__(self, url: str) -> None:
        # redis-py's types cover its asyncio twin as well, so nothing of an answer could be used without a cast.
        self._redis: Any = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, decode_responses=True)
        self._append = self._redis.register_script(_APPEND)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append spans of the SDK."""
        self._write([records.of_span(span)] for span in spans)
        return SpanExportResult.SUCCESS

    def export_works(self, works: Iterable[FinishedWork]) -> int:
        """Append pieces of work; return how many spans were more than a request may have."""
        process = conf.process()
        return self._write(list(records.of_work(work, process)) for work in works)

    def _write(self, groups: Iterable[list[dict[str, Any]]]) -> int:
        """Append groups of spans, each of one request, in one round trip; return how many were refused."""
        text = b"".join(_as_lines(group) for group in groups if group[0]["request_id"])
        if not text:
            return 0
        bounds = [time.time(), KEPT_SECONDS, KEPT_REQUESTS, SPANS_A_REQUEST, REQUESTS_A_USER]
        return int(self._append([_INDEX], [*bounds, text]))

    def note_lost(self, lost: Mapping[str, int]) -> None:
        """Remember of each request how many of its spans never came here."""
        with self._redis.pipeline(transaction=False) as pipe:
            for request_id, count in lost.items():
                pipe.incrby(f"lost:{request_id}", count)
                pipe.expire(f"lost:{request_id}", KEPT_SECONDS)
            pipe.execute()

    def spans_of(self, request_id: str) -> list[dict[str, Any]]:
        """Return the kept spans of a request, oldest first."""
        groups = (orjson.loads(raw) for raw in self._redis.lrange(f"spans:{request_id}", 0, -1))
        found: list[dict[str, Any]] = [record for group in groups for record in group]
        return sorted(found, key=lambda record: record["start_ns"])

    def lost_of(self, request_id: str) -> int:
        """Return how many spans of a request are known to have been lost on their way here."""
        return int(self._redis.get(f"lost:{request_id}") or 0)

    def request_of_trace(self, trace_id: str) -> str:
        """Return the request id of a trace; empty where it isn't kept."""
        return self._redis.get(f"trace:{trace_id}") or ""

    def request_of_task(self, task_id: str) -> str:
        """Return the id of the request that a task ran for; empty where it isn't kept."""
        return self._redis.get(f"task:{task_id}") or ""

    def requests_of_user(self, user_id: str, limit: int = 50) -> list[dict[str, Any]]:
        """Return the first spans of a user's latest requests, newest first, as `latest` does."""
        return self._roots(self._redis.zrevrange(f"user:{user_id}", 0, limit - 1))

    def latest(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the spans that stand for the latest requests, newest first, each with its `span_count`."""
        return self._roots(self._redis.zrevrange(_INDEX, 0, limit - 1))

    def older_than(self, seconds: float) -> list[str]:
        """Return the ids of the requests that told nothing for so long, oldest first."""
        found: list[str] = self._redis.zrangebyscore(_INDEX, 0, time.time() - seconds)
        return found

    def bytes_of(self, request_ids: Sequence[str]) -> int:
        """Return how many bytes the spans of these requests have in Redis."""
        with self._redis.pipeline(transaction=False) as pipe:
            for request_id in request_ids:
                pipe.memory_usage(f"spans:{request_id}")
            return sum(size or 0 for size in pipe.execute())

    def forget(self, request_ids: Sequence[str]) -> None:
        """Remove what is kept of these requests."""
        with self._redis.pipeline(transaction=False) as pipe:
            for request_id in request_ids:
                pipe.delete(*(f"{kind}:{request_id}" for kind in ("spans", "count", "root", "lost")))
                pipe.zrem(_INDEX, request_id)
            pipe.execute()

    def roots_of(self, request_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the spans that stand for these requests, in their order; those that aren't kept are left out."""
        return self._roots(list(request_ids))

    def _roots(self, request_ids: list[str]) -> list[dict[str, Any]]:
        with self._redis.pipeline(transaction=False) as pipe:
            for request_id in request_ids:
                pipe.get(f"root:{request_id}")
                pipe.get(f"count:{request_id}")
            answers = pipe.execute()
        pairs = zip(answers[::2], answers[1::2], strict=True)
        return [{**orjson.loads(text), "span_count": int(count or 0)} for text, count in pairs if text]


def recent_spans() -> RecentSpans:
    """Return the store that this project's processes write to."""
    return RecentSpans(conf.redis_url())


def _as_lines(group: list[dict[str, Any]]) -> bytes:
    """Return a group's two lines of what `_APPEND` takes."""
    first, *rest = group
    root = orjson.dumps(first, default=str)
    others = orjson.dumps(rest, default=str)
    can_stand = first["kind"] in _ROOT_KINDS or not first["parent_id"]
    attributes = first["attributes"]
    known = (
        first["request_id"],
        len(group),
        first["trace_id"],
        len(root) if can_stand else 0,
        int("http.request.method" in attributes and first["kind"] == "server"),
        _ABOUT_LINES.sub(" ", str(attributes.get("user.id", ""))) if can_stand else "",
        _ABOUT_LINES.sub(" ", str(attributes.get("messaging.message.id", ""))) if can_stand else "",
    )
    spans = b"[" + root + (b"," + others[1:] if rest else b"]")
    return "\t".join(map(str, known)).encode() + b"\n" + spans + b"\n"
