"""Spans of a test, as they would leave the process."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from telemetry import tracing
from telemetry.store import to_record

Finished = Callable[[], list[dict[str, Any]]]


class _Kept(SpanExporter):
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.records += [to_record(span) for span in spans if isinstance(span, ReadableSpan)]
        return SpanExportResult.SUCCESS


@pytest.fixture
def finished_spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Finished]:
    """Return a function that gives the records of all spans finished so far in the test."""
    kept = _Kept()
    pipeline = tracing.pipeline()
    pipeline.force_flush()
    monkeypatch.setattr(pipeline, "_exporters", [kept])

    def finished() -> list[dict[str, Any]]:
        pipeline.force_flush()
        return kept.records

    yield finished
    pipeline.force_flush()
