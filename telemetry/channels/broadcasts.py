"""One span for all that a process delivers of one broadcast, since a span for each delivery costs a third of the rate.

All deliveries of a broadcast run within one piece of work, a child of the sending; so their statements lie below it,
and its attributes tell who got the message, how late, and how long the handlers took. It ends when nothing of it has
run for a quarter of a second, which one timer for each event loop looks after. What comes later is told by a further
span of the same broadcast.
"""

import asyncio
import atexit
import os
import time
from array import array
from collections.abc import Mapping
from contextvars import Token
from dataclasses import replace
from heapq import nlargest
from operator import itemgetter
from typing import Any, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from telemetry.channels import carrier as carriers
from telemetry.channels.metrics import DELIVERY, HANDLER, MESSAGES
from telemetry.context import Context, from_carrier
from telemetry.context import _context as _running_context
from telemetry.faults import note_fault
from telemetry.tracing import provider, traceparent
from telemetry.tracing.work import Work
from telemetry.tracing.work import _running as _running_work

_QUIET_SECONDS = 0.25
_LONGEST_SECONDS = 10.0  # a handler that hangs doesn't keep the others' times from being told
_MOST_OPEN = 256
_MOST_DELIVERIES = 10_000
_MOST_TOLD = 50  # deliveries that are told one by one
_MOST_SLOW = 5
_MOST_EXCEPTIONS = 5

Tokens = tuple[Token[Work | None], Token[Context], Any]


class Recipient(NamedTuple):
    """Who a delivery is for."""

    user_id: str
    route: str
    handshake: SpanContext | None


class _BroadcastWork(Work):
    """Work that was over some time before it's known to be."""

    __slots__ = ("ended_ns",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ended_ns = self.begun_ns

    @property
    def elapsed_ns(self) -> int:
        return self.ended_ns - self.begun_ns


class Broadcast:
    """What this process delivers of one broadcast. `enter` and `leave` stand around each handler's running."""

    def __init__(self, carrier: Mapping[str, Any], kind: str) -> None:
        self._context = from_carrier(carrier, origin="websocket", operation="")
        self.work = _BroadcastWork(
            f"deliver {kind}",
            origin="websocket",
            sampled_as=kind,
            request_id=self._context.request_id,
            kind=SpanKind.CONSUMER,
            attributes={
                "messaging.system": "channels",
                "messaging.operation.name": "deliver",
                "messaging.message.type": kind,
            },
            parent=traceparent.parse(str(carrier.get("traceparent", ""))),
        )
        sent_at = carriers.sent_at(carrier)
        self._is_timed = sent_at is not None
        age_ns = max(0.0, time.time() - sent_at) * 1e9 if sent_at is not None else 0
        self._sent_ns = self.work.begun_ns - round(age_ns)
        self._contexts: dict[str, Context] = {}
        self._otel_context = trace.set_span_in_context(self.work.span, otel_context.Context())
        self.is_closed = False
        self.running = 0
        self.dropped = 0
        self.failed = 0
        self.cancelled = 0
        # Of each delivery: an index means the same one in all three.
        self.recipients: list[Recipient] = []
        self._begun_ns = array("q")
        self._handler_ns = array("q")

    def enter(self, route: str) -> Tokens:
        """Let a handler of `route` that runs from now on belong to it."""
        context = self._contexts.get(route)
        if context is None:
            work = self.work
            operation = f"WEBSOCKET {route}".rstrip()
            context = replace(self._context, operation=operation, trace_id=work.trace_id, span_id=work.span_id)
            self._contexts[route] = context
        self.running += 1
        return (
            _running_work.set(self.work),
            _running_context.set(context),
            otel_context.attach(self._otel_context),
        )

    def leave(self, tokens: Tokens, recipient: Recipient, begun_ns: int) -> None:
        """Undo `enter` in the same task, and note the delivery."""
        work, context, token = tokens
        otel_context.detach(token)
        _running_context.reset(context)
        _running_work.reset(work)
        ended_ns = time.perf_counter_ns()
        self.running -= 1
        if self.is_closed:  # the span is told already, and said that this one was still running
            HANDLER.labels(recipient.route).observe((ended_ns - begun_ns) / 1e9)
            return
        self.work.ended_ns = ended_ns
        self.recipients.append(recipient)
        self._begun_ns.append(begun_ns)
        self._handler_ns.append(ended_ns - begun_ns)

    def fail(self, error: BaseException) -> None:
        """Note that a handler ended by an exception; a disconnect cancels it, and is no failure."""
        if not isinstance(error, Exception):
            self.cancelled += 1
            return
        self.failed += 1
        if self.failed <= _MOST_EXCEPTIONS:
            self.work.span.record_exception(error)

    def note_dropped(self) -> None:
        """Note one socket that won't be told."""
        self.dropped += 1
        self.work.ended_ns = time.perf_counter_ns()

    def is_over(self, now_ns: int) -> bool:
        """Whether it's to be closed now."""
        if now_ns - self.work.begun_ns > _LONGEST_SECONDS * 1e9 or len(self.recipients) >= _MOST_DELIVERIES:
            return True
        return not self.running and now_ns - self.work.ended_ns > _QUIET_SECONDS * 1e9

    def close(self) -> None:
        """End its span, and observe its deliveries."""
        self.is_closed = True
        work = self.work
        span = work.span
        if self.running:
            work.ended_ns = time.perf_counter_ns()
        latencies = [max(0, begun_ns - self._sent_ns) / 1e9 for begun_ns in self._begun_ns]
        span.attributes.update(self._counts())
        if latencies:
            span.attributes.update(self._times(latencies))
        if len(self.recipients) == 1 and not self.running:
            (recipient,) = self.recipients
            span.attributes["recipient.user.id"] = recipient.user_id
            if recipient.handshake is not None:
                span.links.append(Link(recipient.handshake))
        if self.failed:
            span.set_status(StatusCode.ERROR, f"{self.failed} of {len(latencies)} handlers failed")
        self._observe(latencies)
        work.finish(is_error=self.failed > 0)

    def _observe(self, latencies: list[float]) -> None:
        route, handler = "", HANDLER.labels("")
        for recipient, handler_ns in zip(self.recipients, self._handler_ns, strict=True):
            if recipient.route is not route:
                route, handler = recipient.route, HANDLER.labels(recipient.route)
            handler.observe(handler_ns / 1e9)
        if self._is_timed and latencies:
            slowest = latencies.index(max(latencies))
            is_sampled = self.work.span.context.trace_flags.sampled
            exemplar = {"trace_id": self.work.trace_id} if is_sampled else None
            for index, latency in enumerate(latencies):
                DELIVERY.observe(latency, exemplar if index == slowest else None)

    def _counts(self) -> dict[str, Any]:
        ended = len(self.recipients)
        counts: dict[str, Any] = {
            "broadcast.recipients": ended + self.running,
            "broadcast.delivered": ended - self.failed - self.cancelled,
            "broadcast.failed": self.failed,
            "broadcast.cancelled": self.cancelled,
            "broadcast.unfinished": self.running,
            "broadcast.dropped": self.dropped,
        }
        if self.work.statements:
            counts["db.statements"] = self.work.statements
            counts["db.statement_seconds"] = round(self.work.statement_ns / 1e9, 6)
        return counts

    def _times(self, latencies: list[float]) -> dict[str, Any]:
        ordered = sorted(latencies)
        last = len(ordered) - 1
        slowest = nlargest(_MOST_SLOW, zip(self._handler_ns, self.recipients, strict=True), key=itemgetter(0))
        return {
            "broadcast.latency.first_ms": _milliseconds(ordered[0]),
            "broadcast.latency.median_ms": _milliseconds(ordered[last // 2]),
            "broadcast.latency.p99_ms": _milliseconds(ordered[last * 99 // 100]),
            "broadcast.latency.last_ms": _milliseconds(ordered[-1]),
            # The first deliveries one by one.
            "broadcast.recipient_ids": [recipient.user_id for recipient in self.recipients[:_MOST_TOLD]],
            "broadcast.latencies_ms": [_milliseconds(latency) for latency in latencies[:_MOST_TOLD]],
            "broadcast.handlers_ms": [_milliseconds(spent_ns / 1e9) for spent_ns in self._handler_ns[:_MOST_TOLD]],
            "broadcast.slowest": [
                f"{_milliseconds(spent_ns / 1e9)} ms user {recipient.user_id or '-'} {recipient.route}".rstrip()
                for spent_ns, recipient in slowest
            ],
        }


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1e3, 3)


class RouteTally:
    """What one route's sockets sent since the last sweep: a metric for each message would take its lock each time."""

    __slots__ = ("_counter", "sent")

    def __init__(self, route: str) -> None:
        self._counter = MESSAGES.labels("sent", route)
        self.sent = 0

    def flush(self) -> None:
        """Hand the count on."""
        sent, self.sent = self.sent, 0
        if sent:
            self._counter.inc(sent)


class Broadcasts:
    """The open broadcasts and the tallies of one event loop, whose thread alone uses them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open: dict[str, Broadcast] = {}
        self._tallies: dict[str, RouteTally] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.connections = 0

    def of(self, key: str, message: Mapping[str, Any]) -> Broadcast | None:
        """Return the open broadcast that a carrier tells of; None for a message that isn't to a group."""
        broadcast = self._open.get(key)
        if broadcast is None or len(broadcast.recipients) >= _MOST_DELIVERIES:
            carrier = carriers.parse(key)
            if carriers.BROADCAST not in carrier:
                return None
            if broadcast is not None or len(self._open) >= _MOST_OPEN:
                self._close(key if broadcast is not None else next(iter(self._open)))
            broadcast = self._open[key] = Broadcast(carrier, str(message.get("type", ""))[:200])
        if self.timer is None:
            self.schedule()
        return broadcast

    def tally(self, route: str) -> RouteTally:
        """Return a route's tally. Whoever adds to it starts the timer, where there is none."""
        tally = self._tallies.get(route)
        if tally is None:
            tally = self._tallies[route] = RouteTally(route)
        return tally

    def schedule(self) -> None:
        """Start the timer."""
        self.timer = self._loop.call_later(_QUIET_SECONDS, self._sweep)

    def flush(self) -> None:
        """Close all broadcasts and hand all counts on."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        for key in list(self._open):
            self._close(key)
        for tally in self._tallies.values():
            tally.flush()

    def _sweep(self) -> None:
        self.timer = None
        now_ns = time.perf_counter_ns()
        for key, broadcast in list(self._open.items()):
            if broadcast.is_over(now_ns):
                self._close(key)
        for tally in self._tallies.values():
            tally.flush()
        if self._open:
            self.schedule()

    def _close(self, key: str) -> None:
        try:
            self._open.pop(key).close()
        except Exception as error:
            note_fault("channels.close", error)


_by_loop: dict[asyncio.AbstractEventLoop, Broadcasts] = {}
_is_flushed_at_exit = False


def join() -> Broadcasts:
    """Return the running loop's broadcasts, for one more connection."""
    global _is_flushed_at_exit
    if not _is_flushed_at_exit:
        _is_flushed_at_exit = True
        provider.pipeline()  # first: what is registered later runs earlier, so its queue is still open then
        atexit.register(_flush_all)
    loop = asyncio.get_running_loop()
    broadcasts = _by_loop.get(loop)
    if broadcasts is None:
        broadcasts = _by_loop[loop] = Broadcasts(loop)
    broadcasts.connections += 1
    return broadcasts


def leave(broadcasts: Broadcasts) -> None:
    """Undo `join`; with the loop's last connection all that is open is told."""
    broadcasts.connections -= 1
    if not broadcasts.connections:
        broadcasts.flush()
        _by_loop.pop(broadcasts._loop, None)


def here() -> Broadcasts | None:
    """Return the running loop's broadcasts; None where it has no connections."""
    return _by_loop.get(asyncio.get_running_loop())


def _flush_all() -> None:
    for broadcasts in _by_loop.values():
        broadcasts.flush()


os.register_at_fork(after_in_child=_by_loop.clear)  # the parent's are its own to tell
