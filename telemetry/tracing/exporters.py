"""Where spans go: the store of recent ones, and a collector where one is named."""

import logging
import os
from collections.abc import Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from telemetry import conf
from telemetry.redaction import redact
from telemetry.tracing.store import RecentSpans


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

        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)  # the pipeline tells of failures once

        class OTLPSpanExporter(Redacting, trace_exporter.OTLPSpanExporter):
            """Hands on spans without secrets."""

        exporters.append(OTLPSpanExporter())
    return exporters
