"""Spans of a test, as they would leave the process."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from telemetry.tracing import provider, records

Finished = Callable[[], list[dict[str, Any]]]


class _Kept(SpanExporter):
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.records += [records.of_span(span) for span in spans]
        return SpanExportResult.SUCCESS


@pytest.fixture
def finished_spans() -> Iterator[Finished]:
    """Return a function that gives the records of all spans finished so far in the test."""
    kept = _Kept()
    pipeline = provider.pipeline()
    pipeline.use_exporters([kept])

    def finished() -> list[dict[str, Any]]:
        pipeline.force_flush()
        return kept.records

    yield finished
    pipeline.use_default_exporters()
