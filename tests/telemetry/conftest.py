"""Spans of a test, as they would leave the process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from telemetry.context import Context, new_request_id
from telemetry.tracing import provider, records
from telemetry.tracing.work import Work

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


@contextmanager
def working() -> Iterator[Work]:
    """Run a block as one piece of work."""
    work = Work("GET", origin="http", sampled_as="/", request_id=new_request_id(), kind=SpanKind.SERVER, attributes={})
    work.enter(Context(request_id=work.request_id))
    try:
        yield work
    finally:
        work.leave()
        work.finish()
