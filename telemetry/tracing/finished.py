"""What is over, as those see it who hand it on and keep it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind

from telemetry.tracing.span import WorkSpan


class Leaf(NamedTuple):
    """What is known of a span that nothing runs within. Times are of `time.perf_counter_ns`."""

    name: str
    kind: SpanKind
    parent: SpanContext
    begun_ns: int
    ended_ns: int
    fixed: Mapping[str, Any]  # attributes that many leaves share
    varying: Mapping[str, Any] | None
    error_type: str
    context: SpanContext | None  # where others were told of it, as a message's `traceparent`


class Finished(Protocol):
    """What can be told as spans of the SDK."""

    def spans(self, resource: Resource) -> Iterator[ReadableSpan]: ...


class FinishedWork(Finished, Protocol):
    """A piece of work: its own span, and its leaves."""

    request_id: str
    span: WorkSpan
    begun_ns: int

    @property
    def leaves(self) -> Sequence[Leaf]: ...
