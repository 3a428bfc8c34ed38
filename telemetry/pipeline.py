"""Finished spans on their way out: a bounded queue, one thread, and a count of everything lost.

It fails open: a full queue, a Redis that is down or a collector that refuses costs spans, never requests.
"""

import atexit
import os
import threading
from collections import deque
from collections.abc import Sequence

from opentelemetry.context import Context as OtelContext
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from telemetry import conf
from telemetry.attributes import REQUEST_ID
from telemetry.context import current
from telemetry.metrics import counter
from telemetry.redaction import redact
from telemetry.store import RecentSpans

_CAPACITY = 8_192
_BATCH = 256
_INTERVAL_SECONDS = 0.2

DROPPED = counter("telemetry_spans_dropped_total", "Spans that were lost, by reason.", ["reason"])
EXPORTED = counter("telemetry_spans_exported_total", "Spans handed on, by exporter.", ["exporter"])


class SpanPipeline(SpanProcessor):
    """Takes finished spans and hands them to the exporters in batches, from a thread of its own."""

    def __init__(self, exporters: Sequence[SpanExporter] | None = None, capacity: int = _CAPACITY) -> None:
        self._queue: deque[ReadableSpan] = deque()
        self._capacity = capacity
        self._exporters = exporters
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._exporting = threading.Lock()
        self._is_stopped = False
        os.register_at_fork(after_in_child=self._after_fork)
        atexit.register(self.shutdown)

    def on_start(self, span: Span, parent_context: OtelContext | None = None) -> None:
        """Stamp the span with the id of the request it belongs to, unless whoever began it knew better."""
        if (request_id := current().request_id) and REQUEST_ID not in (span.attributes or {}):
            span.set_attribute(REQUEST_ID, request_id)

    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span; count it as dropped where the queue is full."""
        if self._is_stopped or span.context is None or not span.context.trace_flags.sampled:
            return
        if len(self._queue) >= self._capacity:
            DROPPED.labels("queue_full").inc()
            return
        self._queue.append(span)
        if self._thread is None:
            self._start()
        if len(self._queue) >= _BATCH:
            self._wake.set()

    def force_flush(self, timeout_millis: int = 5_000) -> bool:
        """Hand on all that waits, in the calling thread; for the end of a process and for tests."""
        if not self._exporting.acquire(timeout=timeout_millis / 1_000):
            return False
        try:
            self._export_waiting()
        finally:
            self._exporting.release()
        return True

    def shutdown(self) -> None:
        """Hand on all that waits, and take no more."""
        if not self._is_stopped:
            self._is_stopped = True
            self._wake.set()
            self.force_flush(2_000)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="telemetry-spans", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_stopped:
            self._wake.wait(_INTERVAL_SECONDS)
            self._wake.clear()
            with self._exporting:
                self._export_waiting()

    def _export_waiting(self) -> None:
        if self._exporters is None:
            self._exporters = default_exporters()
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
            for exporter in self._exporters:
                name = type(exporter).__name__
                try:
                    is_done = exporter.export(batch) is SpanExportResult.SUCCESS
                except Exception:
                    is_done = False
                if is_done:
                    EXPORTED.labels(name).inc(len(batch))
                else:
                    DROPPED.labels(f"{name}_failed").inc(len(batch))

    def _after_fork(self) -> None:
        # The parent's thread and locks don't exist here; its waiting spans are its own to hand on.
        self._queue.clear()
        self._thread = None
        self._exporters = None
        self._wake = threading.Event()
        self._exporting = threading.Lock()


class Redacting(SpanExporter):
    """Mixed in before an exporter whose spans leave the machine: they go without secrets, as those kept here do."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export copies of the spans, redacted."""
        return super().export([_redacted(span) for span in spans])


def _redacted(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=redact(dict(span.attributes or {})),
        events=[
            Event(event.name, redact(dict(event.attributes or {})), timestamp=event.timestamp) for event in span.events
        ],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code, redact(span.status.description)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def default_exporters() -> list[SpanExporter]:
    """Return the store of recent spans, and OTLP where `OTEL_EXPORTER_OTLP_ENDPOINT` is set."""
    exporters: list[SpanExporter] = []
    if url := conf.redis_url():
        exporters.append(RecentSpans(url))
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        from opentelemetry.exporter.otlp.proto.http import trace_exporter

        class OTLPSpanExporter(Redacting, trace_exporter.OTLPSpanExporter):
            """Hands on spans without secrets."""

        exporters.append(OTLPSpanExporter())
    return exporters
