"""The tracer provider for libraries' spans, the resource of all spans, and the pipeline that they leave by."""

import os
import socket
from functools import cache

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Tracer

from telemetry import conf
from telemetry.tracing.pipeline import SpanPipeline


@cache
def resource() -> Resource:
    """Return what all spans of this process have in common (OpenTelemetry's resource conventions)."""
    return Resource(
        {
            "service.name": conf.service_name(),
            "service.version": conf.release(),
            "service.instance.id": f"{socket.gethostname()}:{conf.process()}:{os.getpid()}",
            "deployment.environment.name": conf.environment(),
            "process.type": conf.process(),
        }
    )


os.register_at_fork(after_in_child=resource.cache_clear)


@cache
def pipeline() -> SpanPipeline:
    """Return this process' pipeline of finished spans."""
    return SpanPipeline(resource)


@cache
def provider() -> TracerProvider:
    """Return the tracer provider; made once a process."""
    made = TracerProvider(
        resource=resource(),
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
    """Return the tracer for spans within a piece of work, which other spans may lie below."""
    return provider().get_tracer("telemetry", conf.release())
