"""Spans as what is kept of them in the store: redacted, and fit for JSON."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from telemetry.redaction import redact
from telemetry.tracing.attributes import REQUEST_ID
from telemetry.tracing.finished import FinishedWork, Leaf
from telemetry.tracing.span import child_of

_KINDS = {kind: kind.name.lower() for kind in SpanKind}


def of_span(span: ReadableSpan) -> dict[str, Any]:
    """Return a span of the SDK as its record."""
    context = span.get_span_context()
    attributes = redact(dict(span.attributes or {}))
    return {
        "request_id": attributes.pop(REQUEST_ID, ""),
        "trace_id": f"{context.trace_id:032x}" if context else "",
        "span_id": _id_of(context),
        "parent_id": _id_of(span.parent),
        "name": redact(span.name),
        "kind": _KINDS[span.kind],
        "start_ns": span.start_time,
        "end_ns": span.end_time,
        "status": "ok" if span.status.is_ok else "error",
        "status_detail": redact(span.status.description or ""),
        "process": str(span.resource.attributes.get("process.type", "")),
        "attributes": attributes,
        "events": [_event(event.name, event.timestamp, event.attributes) for event in span.events],
        "links": [_link(link.context) for link in span.links],
    }


def of_work(work: FinishedWork, process: str) -> Iterator[dict[str, Any]]:
    """Give the records of a piece of work and its leaves: as `of_span` would, for a fifth of what that costs."""
    span = work.span
    trace_id = f"{span.context.trace_id:032x}"
    own_id = _id_of(span.context)
    attributes = {key: value for key, value in span.attributes.items() if key != REQUEST_ID}
    yield {
        "request_id": work.request_id,
        "trace_id": trace_id,
        "span_id": own_id,
        "parent_id": _id_of(span.parent),
        "name": redact(span.name),
        "kind": _KINDS[span.kind],
        "start_ns": span.start_ns,
        "end_ns": span.end_ns,
        "status": "error" if span.status is StatusCode.ERROR else "ok",
        "status_detail": redact(span.status_text or "") if span.status is StatusCode.ERROR else "",
        "process": process,
        "attributes": redact(attributes),
        "events": [_event(name, at, told) for name, told, at in span.events],
        "links": [_link(link.context) for link in span.links],
    }
    offset = span.start_ns - work.begun_ns
    for leaf in work.leaves:
        yield _of_leaf(leaf, work, trace_id, own_id, offset, process)


def _of_leaf(leaf: Leaf, work: FinishedWork, trace_id: str, own_id: str, offset: int, process: str) -> dict[str, Any]:
    attributes = _fixed(_ByIdentity(leaf.fixed))
    if leaf.varying:
        attributes = {**attributes, **redact(leaf.varying)}
    return {
        "request_id": work.request_id,
        "trace_id": trace_id,
        "span_id": _id_of(leaf.context or child_of(work.span.context)),
        "parent_id": _id_of(leaf.parent) or own_id,
        "name": leaf.name,
        "kind": _KINDS[leaf.kind],
        "start_ns": leaf.begun_ns + offset,
        "end_ns": leaf.ended_ns + offset,
        "status": "error" if leaf.error_type else "ok",
        "status_detail": leaf.error_type,
        "process": process,
        "attributes": attributes,
        "events": [],
        "links": [],
    }


class _ByIdentity:
    """A mapping that many leaves share, as a key: equal to itself alone, and kept alive so that it stays so."""

    __slots__ = ("mapping",)

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self.mapping = mapping

    def __hash__(self) -> int:
        return id(self.mapping)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other.mapping is self.mapping


@lru_cache(maxsize=4_096)
def _fixed(shared: _ByIdentity) -> dict[str, Any]:
    redacted: dict[str, Any] = redact(dict(shared.mapping))
    return redacted


def _id_of(context: SpanContext | None) -> str:
    return f"{context.span_id:016x}" if context is not None and context.span_id else ""


def _event(name: str, at: int, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"name": name, "time_ns": at, "attributes": redact(dict(attributes or {}))}


def _link(context: SpanContext) -> dict[str, str]:
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
