"""A piece of work: one request, task, command, or message of a socket, from its beginning to its end.

It holds the work's span, what the work has cost so far, and its leaves: statements, cache operations and calls out,
as plain tuples. Leaves become spans once the work is over and only where it's kept, so that a request that isn't
sampled costs hardly less to watch than it would to ignore, and is kept whole if it fails or is slow.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from functools import cache
from random import getrandbits
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from telemetry import conf, metrics
from telemetry.context import Context
from telemetry.context import _context as _running_context
from telemetry.tracing import provider, sampling
from telemetry.tracing.attributes import REQUEST_ID, SAMPLING_DECISION, SPANS_DROPPED
from telemetry.tracing.finished import Leaf
from telemetry.tracing.span import SAMPLED, SCOPE, WorkSpan, as_sampled, child_of

TRACES = metrics.counter(
    "telemetry_traces_total",
    "Pieces of work, by whether they were kept: sampled at the head, for an error, as slow, or not (out).",
    ["origin", "decision"],
)
_UNSAMPLED = TraceFlags(TraceFlags.DEFAULT)
_OK = Status(StatusCode.UNSET)
_counted = cache(TRACES.labels)


class Work:
    """One piece of work. `begin` makes one; `enter` and `leave` stand around its running; `finish` ends it once."""

    __slots__ = (
        *("origin", "request_id", "span", "begun_ns", "leaves", "dropped", "statements", "statement_ns", "repeats"),
        *("repeat_sites", "cache_operations", "cache_hits", "cache_ns", "calls", "call_ns", "is_finished", "_tokens"),
    )

    def __init__(
        self,
        name: str,
        *,
        origin: str,
        sampled_as: str,
        request_id: str,
        kind: SpanKind,
        attributes: dict[str, Any],
        parent: SpanContext | None = None,
        links: Sequence[Link] = (),
    ) -> None:
        """Begin it. `sampled_as` is what rules know it by; `parent` None begins a trace."""
        trace_id = parent.trace_id if parent is not None else getrandbits(128) or 1
        is_sampled = sampling.is_sampled(parent, trace_id, origin, sampled_as)
        context = SpanContext(trace_id, getrandbits(64) or 1, False, SAMPLED if is_sampled else _UNSAMPLED)
        self.origin = origin
        self.request_id = request_id
        attributes[REQUEST_ID] = request_id
        self.span = WorkSpan(name, context, parent=parent, kind=kind, attributes=attributes, links=links)
        self.begun_ns = time.perf_counter_ns()
        self.leaves: list[Leaf] = []
        self.dropped = 0
        self.statements = 0
        self.statement_ns = 0
        self.repeats: dict[Any, int] = {}  # how often each query ran
        self.repeat_sites: dict[Any, str] = {}  # where those come from that ran too often
        self.cache_operations = 0
        self.cache_hits = 0
        self.cache_ns = 0
        self.calls = 0
        self.call_ns = 0
        self.is_finished = False
        self._tokens: list[tuple[Token[Work | None], Token[Context], Any]] = []

    @property
    def elapsed_ns(self) -> int:
        """Nanoseconds since the beginning."""
        return time.perf_counter_ns() - self.begun_ns

    @property
    def trace_id(self) -> str:
        """In hexadecimal."""
        return f"{self.span.context.trace_id:032x}"

    @property
    def span_id(self) -> str:
        """In hexadecimal."""
        return f"{self.span.context.span_id:016x}"

    def enter(self, context: Context) -> None:
        """Let what runs from now on, in this thread or coroutine, belong to it."""
        token = otel_context.attach(trace.set_span_in_context(self.span, otel_context.Context()))
        self._tokens.append((_running.set(self), _running_context.set(context), token))

    def leave(self) -> None:
        """Undo the latest `enter`, in the same thread or coroutine."""
        work, context, token = self._tokens.pop()
        otel_context.detach(token)
        _running_context.reset(context)
        _running.reset(work)

    def add_leaf(
        self,
        name: str,
        begun_ns: int,
        ended_ns: int,
        fixed: Mapping[str, Any],
        varying: Mapping[str, Any] | None = None,
        *,
        kind: SpanKind = SpanKind.CLIENT,
        error_type: str = "",
        context: SpanContext | None = None,
    ) -> None:
        """Note a span below the running one; over the bound it's only counted. `context` is one of `new_child`."""
        if self.is_finished or len(self.leaves) >= conf.MOST_LEAVES:  # a thread or task may outlive the work
            self.dropped += 1
            return
        parent = trace.get_current_span().get_span_context()
        self.leaves.append(Leaf(name, kind, parent, begun_ns, ended_ns, fixed, varying, error_type, context))

    def new_child(self) -> SpanContext:
        """Return the name of a span to come, so that a message can carry it before it's over."""
        return child_of(self.span.context)

    def finish(self, *, is_error: bool = False) -> None:
        """End its span, and hand it on where it is kept."""
        if self.is_finished:
            return
        self.is_finished = True
        elapsed = self.elapsed_ns
        self.span.end(self.span.start_ns + elapsed)
        if self.span.context.trace_flags.sampled:
            decision = "head"
        elif is_error:
            decision = "error"
        elif elapsed >= conf.slow_ns(self.origin):
            decision = "slow"
        else:
            decision = "out"
        _counted(self.origin, decision).inc()
        if decision == "out":
            return
        if decision != "head":
            self.span.attributes[SAMPLING_DECISION] = decision
        if self.dropped:
            self.span.attributes[SPANS_DROPPED] = self.dropped
            provider.pipeline().count_dropped("trace_limit", self.dropped)
        provider.pipeline().submit(self, 1 + len(self.leaves), self.request_id)

    def spans(self, resource: Resource) -> Iterator[ReadableSpan]:
        """Give its spans as exporters read them."""
        yield self.span.readable(resource)
        offset = self.span.start_ns - self.begun_ns
        for leaf in self.leaves:
            yield ReadableSpan(
                name=leaf.name,
                context=as_sampled(leaf.context or self.new_child()),
                parent=as_sampled(leaf.parent if leaf.parent.is_valid else self.span.context),
                resource=resource,
                attributes={**leaf.fixed, **(leaf.varying or {}), REQUEST_ID: self.request_id},
                kind=leaf.kind,
                status=Status(StatusCode.ERROR, leaf.error_type) if leaf.error_type else _OK,
                start_time=leaf.begun_ns + offset,
                end_time=leaf.ended_ns + offset,
                instrumentation_scope=SCOPE,
            )


_running: ContextVar[Work | None] = ContextVar("telemetry_work", default=None)


def running() -> Work | None:
    """Return the piece of work that the running thread or coroutine belongs to."""
    return _running.get()


@contextmanager
def unobserved() -> Iterator[None]:
    """Run a block whose statements, cache operations and calls belong to no piece of work: telemetry's own."""
    token = _running.set(None)
    try:
        yield
    finally:
        _running.reset(token)
