"""Recent spans in Redis, bounded in number, size and time, so that a request's page works with no collector."""

import time
from collections.abc import Sequence
from typing import Any, Literal

import orjson
import redis
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from telemetry import conf
from telemetry.attributes import REQUEST_ID
from telemetry.redaction import redact

KEPT_SECONDS = 3_600
KEPT_REQUESTS = 5_000
SPANS_A_REQUEST = 2_000

_INDEX = "requests"  # request ids by the time of their latest span


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
        for span in spans:
            record = to_record(span)
            request_id = record["request_id"]
            if request_id:
                by_request.setdefault(request_id, []).append(orjson.dumps(record, default=str))
                traces[record["trace_id"]] = request_id
        if not by_request:
            return SpanExportResult.SUCCESS
        with self._redis.pipeline(transaction=False) as pipe:
            for request_id, records in by_request.items():
                pipe.rpush(f"spans:{request_id}", *records)
                pipe.ltrim(f"spans:{request_id}", 0, SPANS_A_REQUEST - 1)
                pipe.expire(f"spans:{request_id}", KEPT_SECONDS)
                pipe.zadd(_INDEX, {request_id: now})
            for trace_id, request_id in traces.items():
                pipe.set(f"trace:{trace_id}", request_id, ex=KEPT_SECONDS)
            pipe.zremrangebyscore(_INDEX, 0, now - KEPT_SECONDS)
            pipe.zcard(_INDEX)
            surplus = pipe.execute()[-1] - KEPT_REQUESTS
        if surplus > 0:
            oldest = self._redis.zpopmin(_INDEX, surplus)
            self._redis.delete(*(f"spans:{request_id}" for request_id, _ in oldest))
        return SpanExportResult.SUCCESS

    def spans_of(self, request_id: str) -> list[dict[str, Any]]:
        """Return the kept spans of a request, oldest first."""
        records = [orjson.loads(raw) for raw in self._redis.lrange(f"spans:{request_id}", 0, -1)]
        return sorted(records, key=lambda record: record["start_ns"])

    def request_of_trace(self, trace_id: str) -> str:
        """Return the request id of a trace; empty where it isn't kept."""
        found = self._redis.get(f"trace:{trace_id}")
        return found if isinstance(found, str) else ""

    def latest(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the first spans without a parent of the latest requests, newest first."""
        request_ids = self._redis.zrevrange(_INDEX, 0, limit - 1)
        with self._redis.pipeline(transaction=False) as pipe:
            for request_id in request_ids:
                pipe.lrange(f"spans:{request_id}", 0, -1)
            answers = pipe.execute()
        roots = []
        for raw in answers:
            records = [orjson.loads(one) for one in raw]
            if records:
                root = min(records, key=lambda record: (record["kind"] != "server", record["start_ns"]))
                roots.append({**root, "span_count": len(records)})
        return roots


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
