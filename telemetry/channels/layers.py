"""What is sent through a channel layer: a span for each sending, and the context of the cause in each message."""

import time
from collections import defaultdict
from collections.abc import Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any

import orjson
from channels.exceptions import ChannelFull
from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from telemetry.channels.carrier import BROADCAST, CARRIER, carrier_of
from telemetry.channels.drops import note_dropped
from telemetry.channels.metrics import DROPPED, OVER_CAPACITY, SLOW_CONSUMER
from telemetry.channels.queues import BoundedQueue
from telemetry.context import current, new_request_id
from telemetry.faults import note_fault
from telemetry.tracing import traceparent
from telemetry.tracing.work import Work, running


class _Sending:
    """One `send` or `group_send`: a leaf of the running work, or a piece of work where nothing runs any more."""

    def __init__(self, method: str, destination: str, kind: str) -> None:
        self.name = f"{method} {kind}"
        self.request_id = current().request_id or new_request_id()
        self._kind = kind
        self._attributes = {
            "messaging.system": "channels",
            "messaging.operation.name": method,
            "messaging.destination.name": destination,
            "messaging.message.type": kind,
        }
        self._begun_ns = time.perf_counter_ns()
        self._parent = trace.get_current_span().get_span_context()
        self._work = running()
        self._own: Work | None = None
        if self._work is None or self._work.is_finished:
            self._own = self._new_work()
        self.context = self._own.span.context if self._own is not None else self._work.new_child()  # type: ignore[union-attr]

    def end(self, dropped: int, error: BaseException | None) -> None:
        """Tell of it."""
        error_type = type(error).__name__ if error is not None else ""
        lost = {"channels.dropped": dropped} if dropped else None
        own, work = self._own, self._work
        if own is None and work is not None and not work.is_finished:
            work.add_leaf(
                self.name,
                self._begun_ns,
                time.perf_counter_ns(),
                self._attributes,
                lost,
                kind=SpanKind.PRODUCER,
                error_type=error_type,
                context=self.context,
            )
            return
        if own is None:  # the work was over before this was: a push that another thread sends
            own = self._new_work()
            own.span.context = self.context
            own.span.start_ns -= own.begun_ns - self._begun_ns
            own.begun_ns = self._begun_ns
        own.span.attributes.update(lost or {})
        if error is not None:
            own.span.set_status(StatusCode.ERROR, error_type)
        own.finish(is_error=error is not None)

    def _new_work(self) -> Work:
        return Work(
            self.name,
            origin=current().origin,
            sampled_as=self._kind,
            request_id=self.request_id,
            kind=SpanKind.PRODUCER,
            attributes=dict(self._attributes),
            parent=self._parent if self._parent.is_valid else None,
        )


class _Drops:
    """How many queues had no room for a group's message."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


_group_drops: ContextVar[_Drops | None] = ContextVar("telemetry_group_drops", default=None)


class _CountingConnection:
    """A Redis connection that hears what the layer's script answers: how many queues had no room."""

    def __init__(self, connection: Any, drops: _Drops) -> None:
        self._connection = connection
        self._drops = drops

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def eval(self, *args: Any) -> Any:
        answer = await self._connection.eval(*args)
        if isinstance(answer, int):
            self._drops.count += answer
        return answer


class TracedChannelLayer:
    """Mixed in before a channel layer: Redis' two, the one in memory, or any other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The core Redis layer's own queues lose messages too, and tell nobody.
        buffers = vars(self).get("receive_buffer")
        if isinstance(buffers, defaultdict):
            on_drop = partial(note_dropped, reason=SLOW_CONSUMER)
            buffers.default_factory = partial(BoundedQueue, vars(self)["capacity"], on_drop)

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Send to one channel, as the layer does."""
        drops = _group_drops.get()
        if drops is None:
            # A channel's own name is random: it would make the destination's cardinality unbounded.
            await self._send_traced("send", "channel", channel, message)
            return
        try:  # the layer in memory sends to a group by sending to each of its channels
            await self.forward("send", channel, message)
        except ChannelFull:
            drops.count += 1
            raise

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Send to all channels of a group, as the layer does."""
        await self._send_traced("group_send", group, group, message)

    async def forward(self, method: str, address: str, message: dict[str, Any]) -> None:
        """Call the layer's own `method`, `send` or `group_send`."""
        own = getattr(super(), method, None)
        if own is None:  # the Pub/Sub layer finds its methods by `__getattr__`, which `super` doesn't ask
            own = self.__getattr__(method)  # type: ignore[attr-defined]
        await own(address, message)

    def connection(self, index: int) -> Any:
        """Return the core Redis layer's connection, which counts while a group's message goes out."""
        connection = super().connection(index)  # type: ignore[misc]
        drops = _group_drops.get()
        return connection if drops is None else _CountingConnection(connection, drops)

    async def _send_traced(self, method: str, destination: str, address: str, message: dict[str, Any]) -> None:
        is_group = method == "group_send"
        carried = message
        sending: _Sending | None = None
        try:
            sending = _Sending(method, destination[:200], str(message.get("type", ""))[:200])
            carried = await _with_carrier(message, sending, is_group=is_group)
        except Exception as fault:
            note_fault("channels.send", fault)
        drops = _Drops()
        token = _group_drops.set(drops if is_group else None)
        failure: BaseException | None = None
        try:
            await self.forward(method, address, carried)
        except BaseException as error:
            failure = error
            drops.count += isinstance(error, ChannelFull)
            raise
        finally:
            _group_drops.reset(token)
            _tell(sending, drops.count, failure)
            failure = None  # it holds this frame


def _tell(sending: _Sending | None, dropped: int, failure: BaseException | None) -> None:
    try:
        if dropped:
            DROPPED.labels(OVER_CAPACITY).inc(dropped)
        if sending is not None:
            sending.end(dropped, failure)
    except Exception as fault:
        note_fault("channels.sent", fault)


async def _with_carrier(message: Mapping[str, Any], sending: _Sending, *, is_group: bool) -> dict[str, Any]:
    named: SpanContext = sending.context
    carrier = await carrier_of(current())
    carrier.setdefault("request_id", sending.request_id)
    carrier["traceparent"] = traceparent.of(named)
    carrier["sent_at"] = repr(time.time())
    if is_group:
        carrier[BROADCAST] = f"{named.span_id:016x}"
    return {**message, CARRIER: orjson.dumps(carrier).decode()}
