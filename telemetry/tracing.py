"""The tracer provider: resource, sampler and the bounded pipeline that spans leave by."""

import os
import socket
from functools import cache

from opentelemetry import trace
from opentelemetry.propagators.textmap import default_getter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, SpanContext, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from telemetry import conf
from telemetry.pipeline import SpanPipeline

_propagator = TraceContextTextMapPropagator()


@cache
def pipeline() -> SpanPipeline:
    """Return this process' pipeline of finished spans."""
    return SpanPipeline()


@cache
def provider() -> TracerProvider:
    """Return the tracer provider; made once a process."""
    resource = Resource(
        {
            "service.name": conf.service_name(),
            "service.version": conf.release(),
            "service.instance.id": f"{socket.gethostname()}:{conf.process()}:{os.getpid()}",
            "deployment.environment.name": conf.environment(),
            "process.type": conf.process(),
        }
    )
    made = TracerProvider(
        resource=resource,
        sampler=ParentBased(TraceIdRatioBased(conf.sample_ratio())),
        span_limits=SpanLimits(max_attributes=64, max_events=64, max_links=256, max_attribute_length=16_000),
        shutdown_on_exit=False,
    )
    made.add_span_processor(pipeline())
    return made


def configure() -> None:
    """Make the provider the global one."""
    trace.set_tracer_provider(provider())


@cache
def tracer() -> Tracer:
    """Return the tracer of this package's spans."""
    return provider().get_tracer("telemetry", conf.release())


def parse_traceparent(value: str) -> SpanContext | None:
    """Return the remote span that a `traceparent` header names (W3C Trace Context); None where it is broken."""
    if not value or len(value) > 256:
        return None
    context = _propagator.extract({"traceparent": value}, getter=default_getter)
    remote = trace.get_current_span(context).get_span_context()
    return remote if remote.is_valid else None


def traceparent(context: SpanContext) -> str:
    """Return the `traceparent` header that names `context`; empty where it is no valid span."""
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def current_traceparent() -> str:
    """Return the running span's `traceparent`; empty where there is none."""
    return traceparent(trace.get_current_span().get_span_context())


def link_to(value: str) -> list[Link]:
    """Return the link to the span that a `traceparent` names; none where it is missing or broken."""
    remote = parse_traceparent(value)
    return [Link(remote)] if remote else []
