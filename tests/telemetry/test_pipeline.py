"""Spans leave by a bounded way that counts what it loses."""

import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from telemetry import conf
from telemetry.context import Context, new_request_id, use
from telemetry.metrics import exposed_registry
from telemetry.tracing import records
from telemetry.tracing.exporters import default_exporters
from telemetry.tracing.pipeline import SpanPipeline
from telemetry.tracing.provider import resource
from telemetry.tracing.store import KEPT_REQUESTS, SPANS_A_REQUEST, RecentSpans, recent_spans
from tests.conftest import WaitUntil


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


class Hanging(SpanExporter):
    """A collector that never answers, until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.let_go.wait(300)
        return SpanExportResult.SUCCESS


class Keeping(SpanExporter):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


def test_an_exporter_that_hangs_keeps_no_other_waiting(wait_until: WaitUntil) -> None:
    hanging, keeping = Hanging(), Keeping()
    pipeline = SpanPipeline(resource, [hanging, keeping])
    finish_spans(pipeline, 3)

    assert wait_until(lambda: len(keeping.spans) == 3)
    hanging.let_go.set()
    pipeline.shutdown()


def test_an_exporter_that_hangs_holds_a_bounded_number_and_the_rest_is_counted() -> None:
    before = dropped("Hanging_queue_full")
    hanging = Hanging()
    pipeline = SpanPipeline(resource, [hanging], capacity=100)
    finish_spans(pipeline, 1_000)

    assert dropped("Hanging_queue_full") - before >= 1_000 - 100 - 2 * 64  # what one export took at once is on its way
    hanging.let_go.set()
    pipeline.shutdown()


def test_the_end_of_a_process_waits_for_no_exporter_longer_than_five_seconds() -> None:
    before = dropped("Hanging_shutdown") + dropped("Hanging_failed")
    hanging = [Hanging(), Hanging()]
    pipeline = SpanPipeline(resource, hanging)
    finish_spans(pipeline, 200)
    ending = threading.Thread(target=pipeline.shutdown)
    ending.start()
    ending.join(60)

    assert not ending.is_alive()
    assert dropped("Hanging_shutdown") + dropped("Hanging_failed") == before + 2 * 200
    for one in hanging:
        one.let_go.set()


def test_a_collector_that_is_down_costs_its_spans_which_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        _, collector = default_exporters()
        pipeline = SpanPipeline(resource, [collector])
        before = dropped("OTLPSpanExporter_failed") + dropped("OTLPSpanExporter_shutdown")
        finish_spans(pipeline, 10)
        pipeline.shutdown()

    assert dropped("OTLPSpanExporter_failed") + dropped("OTLPSpanExporter_shutdown") == before + 10


def test_a_request_knows_how_many_of_its_spans_were_lost(store: RecentSpans, monkeypatch: pytest.MonkeyPatch) -> None:
    request_id = new_request_id()
    let_go = threading.Event()
    export = store.export
    monkeypatch.setattr(store, "export", lambda spans: (let_go.wait(60), export(spans))[1])
    pipeline = SpanPipeline(resource, [store], capacity=2)
    with use(Context(request_id=request_id)):
        finish_spans(pipeline, 50)
    let_go.set()
    pipeline.force_flush()
    finish_spans(pipeline, 1)
    pipeline.force_flush()
    pipeline.shutdown()

    assert store.lost_of(request_id) == 50 - len(store.spans_of(request_id)) > 0


def test_a_store_that_is_down_for_a_while_is_told_of_the_loss_later(store: RecentSpans) -> None:
    request_id = new_request_id()

    class Down(RecentSpans):
        is_down = True

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            if self.is_down:
                raise ConnectionError("down")
            return super().export(spans)

        def note_lost(self, lost: Mapping[str, int]) -> None:
            if self.is_down:
                raise ConnectionError("down")
            super().note_lost(lost)

    down = Down(conf.redis_url())
    pipeline = SpanPipeline(resource, [down])
    with use(Context(request_id=request_id)):
        finish_spans(pipeline, 4)
        pipeline.force_flush()
        pipeline.force_flush()
    down.is_down = False
    finish_spans(pipeline, 1)
    pipeline.force_flush()
    pipeline.shutdown()

    assert store.lost_of(request_id) == 4


def test_failing_exports_are_logged_once_and_their_recovery_once(capsys: pytest.CaptureFixture[str]) -> None:
    class Wavering(Keeping):
        fails = True

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.FAILURE if self.fails else super().export(spans)

    wavering = Wavering()
    pipeline = SpanPipeline(resource, [wavering])
    for is_failing in (True, True, True, False, False):
        wavering.fails = is_failing
        finish_spans(pipeline, 1)
        pipeline.force_flush()
    pipeline.shutdown()
    told = capsys.readouterr().out

    assert told.count("telemetry.export_failing") == told.count("telemetry.export_recovered") == 1


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

    assert "canary" not in str(records.of_span(span))
