"""Spans leave by a bounded way that counts what it loses."""

from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from telemetry.context import Context, new_request_id, use
from telemetry.metrics import exposed_registry
from telemetry.tracing.pipeline import SpanPipeline
from telemetry.tracing.provider import resource
from telemetry.tracing.store import KEPT_REQUESTS, SPANS_A_REQUEST, RecentSpans, recent_spans, to_record


class Refusing(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise ConnectionError("refused")


def dropped(reason: str) -> float:
    return exposed_registry().get_sample_value("telemetry_spans_dropped_total", {"reason": reason}) or 0


def finish_spans(pipeline: SpanPipeline, count: int, name: str = "work") -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(pipeline)
    tracer = provider.get_tracer("test")
    for _ in range(count):
        tracer.start_span(name).end()


def test_an_exporter_that_fails_costs_spans_and_nothing_else() -> None:
    before = dropped("Refusing_failed")
    pipeline = SpanPipeline(resource, [Refusing()])
    finish_spans(pipeline, 3)
    pipeline.shutdown()

    assert dropped("Refusing_failed") == before + 3


def test_a_full_queue_drops_and_counts() -> None:
    before = dropped("Refusing_queue_full")
    pipeline = SpanPipeline(resource, [Refusing()], capacity=0)
    finish_spans(pipeline, 5)
    pipeline.shutdown()

    assert dropped("Refusing_queue_full") == before + 5


@pytest.fixture
def store(servers: Any) -> RecentSpans:
    return recent_spans()


def test_a_requests_spans_are_found_by_its_id_and_by_their_trace(store: RecentSpans) -> None:
    request_id = new_request_id()
    pipeline = SpanPipeline(resource, [store])
    with use(Context(request_id=request_id)):
        finish_spans(pipeline, 3)
    pipeline.shutdown()

    spans = store.spans_of(request_id)
    assert [span["name"] for span in spans] == ["work"] * 3
    assert store.request_of_trace(spans[0]["trace_id"]) == request_id
    assert store.latest()[0]["request_id"] == request_id


def test_one_request_cant_fill_the_store(store: RecentSpans) -> None:
    request_id = new_request_id()
    pipeline = SpanPipeline(resource, [store], capacity=10_000)
    with use(Context(request_id=request_id)):
        finish_spans(pipeline, SPANS_A_REQUEST + 300)
    pipeline.shutdown()

    assert len(store.spans_of(request_id)) == SPANS_A_REQUEST


def test_the_oldest_requests_make_room(store: RecentSpans, redis_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.tracing.store.KEPT_REQUESTS", 10)
    assert KEPT_REQUESTS > 10
    ids = [new_request_id() for _ in range(15)]
    for request_id in ids:
        pipeline = SpanPipeline(resource, [store])
        with use(Context(request_id=request_id)):
            finish_spans(pipeline, 1)
        pipeline.shutdown()

    assert [bool(store.spans_of(request_id)) for request_id in ids] == [False] * 5 + [True] * 10


def test_what_is_kept_is_redacted() -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    span = provider.get_tracer("test").start_span("work", attributes={"http.request.header.cookie": "canary-1"})
    span.add_event("sent", {"text": "Bearer canary-2"})
    span.end()
    assert isinstance(span, ReadableSpan)

    assert "canary" not in str(to_record(span))
