"""Recent spans in Redis, bounded in number, size and time, so that a request's page works with no collector."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson
import redis
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from telemetry import conf
from telemetry.redaction import redact
from telemetry.tracing.attributes import REQUEST_ID

KEPT_SECONDS = 3_600
KEPT_REQUESTS = 5_000
SPANS_A_REQUEST = 2_000
REQUESTS_A_USER = 200

_INDEX = "requests"  # request ids by the time of their latest span
_ROOT_KINDS = ("server", "consumer")


class RecentSpans(SpanExporter):
    """Writes spans by the request they belong to; a span without a request isn't kept here."""

    def __init__(self, url: str) -> None:
        # redis-py's types cover its asyncio twin as well, so nothing of an answer could be used without a cast.
        self._redis: Any = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, decode_responses=True)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append the spans in one round trip, and drop the oldest requests over the bound in another."""
        now = time.time()
        by_request: dict[str, list[bytes]] = {}
        traces: dict[str, str] = {}
        tasks: dict[str, str] = {}
        users: dict[str, str] = {}
        roots: dict[str, bytes] = {}
        for span in spans:
            record = to_record(span)
            request_id = record["request_id"]
            if not request_id:
                continue
            text = orjson.dumps(record, default=str)
            by_request.setdefault(request_id, []).append(text)
            traces[record["trace_id"]] = request_id
            if record["parent_id"] and record["kind"] not in _ROOT_KINDS:
                continue
            attributes = record["attributes"]
            if record["kind"] == "server" or request_id not in roots:
                roots[request_id] = text
            if user_id := attributes.get("user.id"):
                users[request_id] = user_id
            if task_id := attributes.get("messaging.message.id"):
                tasks[task_id] = request_id
        if not by_request:
            return SpanExportResult.SUCCESS
        with self._redis.pipeline(transaction=False) as pipe:
            for request_id, records in by_request.items():
                pipe.rpush(f"spans:{request_id}", *records)
                pipe.ltrim(f"spans:{request_id}", 0, SPANS_A_REQUEST - 1)
                pipe.expire(f"spans:{request_id}", KEPT_SECONDS)
                pipe.zadd(_INDEX, {request_id: now})
            for request_id, text in roots.items():
                # The request's own span stands for it, whichever process tells first.
                is_server = b'"kind":"server"' in text
                pipe.set(f"root:{request_id}", text, ex=KEPT_SECONDS, nx=not is_server)
            for prefix, found in (("trace", traces), ("task", tasks)):
                for key, request_id in found.items():
                    pipe.set(f"{prefix}:{key}", request_id, ex=KEPT_SECONDS)
            for request_id, user_id in users.items():
                pipe.zadd(f"user:{user_id}", {request_id: now})
                pipe.zremrangebyrank(f"user:{user_id}", 0, -REQUESTS_A_USER - 1)
                pipe.expire(f"user:{user_id}", KEPT_SECONDS)
            pipe.zremrangebyscore(_INDEX, 0, now - KEPT_SECONDS)
            pipe.zcard(_INDEX)
            surplus = pipe.execute()[-1] - KEPT_REQUESTS
        if surplus > 0:
            oldest = [request_id for request_id, _ in self._redis.zpopmin(_INDEX, surplus)]
            self._redis.delete(*(f"{kind}:{one}" for one in oldest for kind in ("spans", "root", "lost")))
        return SpanExportResult.SUCCESS

    def note_lost(self, lost: Mapping[str, int]) -> None:
        """Remember of each request how many of its spans never came here."""
        with self._redis.pipeline(transaction=False) as pipe:
            for request_id, count in lost.items():
                pipe.incrby(f"lost:{request_id}", count)
                pipe.expire(f"lost:{request_id}", KEPT_SECONDS)
            pipe.execute()

    def spans_of(self, request_id: str) -> list[dict[str, Any]]:
        """Return the kept spans of a request, oldest first."""
        records = [orjson.loads(raw) for raw in self._redis.lrange(f"spans:{request_id}", 0, -1)]
        return sorted(records, key=lambda record: record["start_ns"])

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
                pipe.llen(f"spans:{request_id}")
            answers = pipe.execute()
        pairs = zip(answers[::2], answers[1::2], strict=True)
        return [{**orjson.loads(text), "span_count": count} for text, count in pairs if text]


def recent_spans() -> RecentSpans:
    """Return the store that this project's processes write to."""
    return RecentSpans(conf.redis_url())


def to_record(span: ReadableSpan) -> dict[str, Any]:
    """Return a span as what is kept of it: redacted, JSON-able."""
    context = span.get_span_context()
    attributes = redact(dict(span.attributes or {}))
    status: Literal["error", "ok"] = "ok" if span.status.is_ok else "error"
    return {
        "request_id": attributes.pop(REQUEST_ID, ""),
        "trace_id": f"{context.trace_id:032x}" if context else "",
        "span_id": f"{context.span_id:016x}" if context else "",
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else "",
        "name": span.name,
        "kind": span.kind.name.lower(),
        "start_ns": span.start_time,
        "end_ns": span.end_time,
        "status": status,
        "status_detail": redact(span.status.description or ""),
        "process": str(span.resource.attributes.get("process.type", "")),
        "attributes": attributes,
        "events": [
            {
                "name": event.name,
                "time_ns": event.timestamp,
                "attributes": redact(dict(event.attributes or {})),
            }
            for event in span.events
        ],
        "links": [
            {"trace_id": f"{link.context.trace_id:032x}", "span_id": f"{link.context.span_id:016x}"}
            for link in span.links
        ],
    }
