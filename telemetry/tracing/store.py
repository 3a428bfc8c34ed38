"""Recent spans in Redis, bounded in number, size and time, so that a request's page works with no collector."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import redis
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from telemetry import conf
from telemetry.tracing import records

if TYPE_CHECKING:
    from telemetry.tracing.work import Work

KEPT_SECONDS = 3_600
KEPT_REQUESTS = 5_000
SPANS_A_REQUEST = 2_000
REQUESTS_A_USER = 200

_INDEX = "requests"  # request ids by the time of their latest span
_ROOT_KINDS = ("server", "consumer")
# One call for a batch: the commands of each piece of work would cost the writing process more than all else. For each
# of KEYS, a request's id, there are six of ARGV: how many spans, the spans, the trace's id, the span that stands for
# the request or nothing, the user's id, and a task's id.
_APPEND = """
local now, seconds, requests = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local spans, user_requests = tonumber(ARGV[4]), tonumber(ARGV[5])
local lost = {}
for place = 2, #KEYS do
    local id, first = KEYS[place], 6 + (place - 2) * 6
    local count, root = tonumber(ARGV[first]), ARGV[first + 3]
    if redis.call('INCRBY', 'count:' .. id, count) > spans then
        redis.call('INCRBY', 'count:' .. id, -count)
        redis.call('INCRBY', 'lost:' .. id, count)
        redis.call('EXPIRE', 'lost:' .. id, seconds)
        lost[#lost + 1] = count
    else
        redis.call('RPUSH', 'spans:' .. id, ARGV[first + 1])
        redis.call('EXPIRE', 'spans:' .. id, seconds)
    end
    redis.call('EXPIRE', 'count:' .. id, seconds)
    redis.call('ZADD', KEYS[1], now, id)
    redis.call('SET', 'trace:' .. ARGV[first + 2], id, 'EX', seconds)
    if root ~= '' then
        -- The request's own span stands for it, whichever process tells first.
        if string.find(root, '"kind":"server"', 1, true) then redis.call('SET', 'root:' .. id, root, 'EX', seconds)
        else redis.call('SET', 'root:' .. id, root, 'EX', seconds, 'NX') end
    end
    local user, task = ARGV[first + 4], ARGV[first + 5]
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
return lost
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

    def export_works(self, works: Iterable["Work"]) -> int:
        """Append pieces of work; return how many spans were more than a request may have."""
        process = conf.process()
        return self._write(list(records.of_work(work, process)) for work in works)

    def _write(self, groups: Iterable[list[dict[str, Any]]]) -> int:
        """Append groups of spans, each of one request, in one round trip."""
        keys = [_INDEX]
        arguments: list[Any] = [time.time(), KEPT_SECONDS, KEPT_REQUESTS, SPANS_A_REQUEST, REQUESTS_A_USER]
        for group in groups:
            first = group[0]
            if not first["request_id"]:
                continue
            keys.append(first["request_id"])
            attributes = first["attributes"]
            can_stand = first["kind"] in _ROOT_KINDS or not first["parent_id"]
            arguments += (
                len(group),
                orjson.dumps(group, default=str),
                first["trace_id"],
                orjson.dumps(first, default=str) if can_stand else "",
                str(attributes.get("user.id", "")) if can_stand else "",
                str(attributes.get("messaging.message.id", "")) if can_stand else "",
            )
        return sum(self._append(keys, arguments)) if len(keys) > 1 else 0

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
