"""How each peer is switched on, as its own manual says; spans go to the sink by OTLP, or are counted and dropped."""

import os
from collections.abc import Sequence

from django.conf import settings


def instrument() -> None:
    """Switch on what the variant has, before Django is set up."""
    if "structlog" in settings.PARTS:
        _structlog()
    if "logfire" in settings.PARTS:
        _logfire()
    elif "otel" in settings.PARTS:
        _opentelemetry()


def is_traced() -> bool:
    """Whether the variant has OpenTelemetry's own instrumentation."""
    return "otel" in settings.PARTS


def _structlog() -> None:
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            *([_add_trace] if is_traced() else []),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            structlog.processors.UnicodeDecoder(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _add_trace(logger: object, method: str, event: dict) -> dict:
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
        event["span_id"] = f"{context.span_id:016x}"
    return event


def _processor():
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    if "otlp" in settings.PARTS:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{settings.BENCH['otlp']}/v1/traces"))

    class Tally(SpanExporter):
        """Counts spans in a file, which all processes of a worker share."""

        def export(self, spans: Sequence) -> SpanExportResult:
            file = os.open(settings.BENCH["tally"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, f"{len(spans)}\n".encode())
            os.close(file)
            return SpanExportResult.SUCCESS

    return BatchSpanProcessor(Tally())


def _opentelemetry() -> None:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    provider = TracerProvider(
        resource=Resource.create({"service.name": settings.BENCH["service"]}),
        sampler=ParentBased(TraceIdRatioBased(settings.BENCH["ratio"])),
    )
    provider.add_span_processor(_processor())
    trace.set_tracer_provider(provider)
    if settings.BENCH["work"] == "celery":
        from opentelemetry.instrumentation.celery import CeleryInstrumentor

        CeleryInstrumentor().instrument()
    elif settings.BENCH["work"] != "broadcast":
        from opentelemetry.instrumentation.django import DjangoInstrumentor

        DjangoInstrumentor().instrument()
    if "psycopg" in settings.PARTS:
        from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor

        PsycopgInstrumentor().instrument()


def _logfire() -> None:
    import logfire

    logfire.configure(
        send_to_logfire=False,
        console=False,
        service_name=settings.BENCH["service"],
        sampling=logfire.SamplingOptions(head=settings.BENCH["ratio"]),
        additional_span_processors=[_processor()],
        inspect_arguments=False,
    )
    logfire.instrument_django()
    logfire.instrument_psycopg()
