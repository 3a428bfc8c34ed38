"""A span that costs a fifth of the SDK's, with the same interface.

The SDK's checks and copies each attribute and takes a lock for it. A piece of work's span is written by the one thread
or coroutine that runs it, so this one keeps plain dictionaries, and becomes the SDK's `ReadableSpan` when it is read,
on the exporter's thread.
"""

import time
import traceback
from collections.abc import Mapping, Sequence
from random import getrandbits
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

SCOPE = InstrumentationScope("telemetry")
SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_MOST_ATTRIBUTES = 64
_MOST_EVENTS = 64
_MOST_LINKS = 256
_LONGEST_TEXT = 16_000


class WorkSpan(Span):
    """The span of one piece of work. It is recorded even if unsampled: whether it's kept is told at its end."""

    def __init__(
        self,
        name: str,
        context: SpanContext,
        *,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: dict[str, Any],
        links: Sequence[Link] = (),
    ) -> None:
        self.name = name
        self.context = context
        self.parent = parent
        self.kind = kind
        self.attributes = attributes
        self.links = list(links)
        self.events: list[tuple[str, Mapping[str, Any], int]] = []
        self.status = StatusCode.UNSET
        self.status_text: str | None = None
        self.start_ns = time.time_ns()
        self.end_ns = 0
        self.dropped_events = 0

    def get_span_context(self) -> SpanContext:
        return self.context

    def is_recording(self) -> bool:
        return not self.end_ns

    def set_attribute(self, key: str, value: Any) -> None:
        if not self.end_ns and (len(self.attributes) < _MOST_ATTRIBUTES or key in self.attributes):
            self.attributes[key] = value[:_LONGEST_TEXT] if isinstance(value, str) else value

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        if self.end_ns:
            return
        if len(self.events) < _MOST_EVENTS:
            self.events.append((name, attributes or {}, timestamp or time.time_ns()))
        else:
            self.dropped_events += 1

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        if not self.end_ns and len(self.links) < _MOST_LINKS:
            self.links.append(Link(context, attributes))

    def update_name(self, name: str) -> None:
        self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if isinstance(status, Status):
            self.status, self.status_text = status.status_code, status.description
        else:
            self.status, self.status_text = status, description

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        lines = traceback.format_exception(type(exception), exception, exception.__traceback__)
        told = {
            "exception.type": type(exception).__qualname__,
            "exception.message": str(exception)[:_LONGEST_TEXT],
            "exception.stacktrace": "".join(lines)[-_LONGEST_TEXT:],  # its end says what went wrong
            **(attributes or {}),
        }
        self.add_event("exception", told, timestamp)

    def end(self, end_time: int | None = None) -> None:
        if not self.end_ns:
            self.end_ns = end_time or time.time_ns()

    def readable(self, resource: Resource) -> ReadableSpan:
        """Return the span as exporters read it, sampled: whoever asks has decided to keep it."""
        return ReadableSpan(
            name=self.name,
            context=as_sampled(self.context),
            parent=self.parent,
            resource=resource,
            attributes=self.attributes,
            events=[Event(name, attributes, timestamp=at) for name, attributes, at in self.events],
            links=self.links,
            kind=self.kind,
            status=Status(self.status, self.status_text if self.status is StatusCode.ERROR else None),
            start_time=self.start_ns,
            end_time=self.end_ns,
            instrumentation_scope=SCOPE,
        )


def child_of(context: SpanContext) -> SpanContext:
    """Return the name of a new span in the same trace."""
    return SpanContext(context.trace_id, getrandbits(64) or 1, False, context.trace_flags)


def as_sampled(context: SpanContext) -> SpanContext:
    """Return `context` with the flag that says it's recorded."""
    if context.trace_flags.sampled:
        return context
    return SpanContext(context.trace_id, context.span_id, is_remote=False, trace_flags=SAMPLED)
