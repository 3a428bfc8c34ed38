"""Channels: the context travels in each channel-layer message; one span a broadcast, one for each delivery's handling.

A fan-out is linked, a message for one recipient is a child of what caused it. The handshake's span ends when the
socket is accepted, and each message from the browser is a trace of its own, linked to the handshake.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, StatusCode

from telemetry import conf
from telemetry.context import (
    ANONYMOUS,
    Actor,
    Context,
    current,
    from_carrier,
    is_request_id,
    new_request_id,
    to_carrier,
)
from telemetry.logs import get_logger
from telemetry.metrics import TASK_BUCKETS, counter, gauge, histogram
from telemetry.redaction import clean
from telemetry.tracing import traceparent
from telemetry.tracing.provider import tracer
from telemetry.tracing.work import Work

log = get_logger("channels")
CARRIER = "telemetry"

CONNECTIONS = gauge("websocket_server_active_connections", "Open WebSockets.", ["http_route"])
CONNECTION_DURATION = histogram(
    "websocket_server_connection_duration_seconds",
    "How long WebSockets were open.",
    ["http_route", "websocket_close_code"],
    buckets=TASK_BUCKETS,
)
MESSAGES = counter("websocket_server_messages_total", "Messages over WebSockets.", ["direction", "http_route"])
HANDLER = histogram(
    "websocket_server_handler_duration_seconds",
    "How long handlers ran.",
    ["http_route"],
    buckets=TASK_BUCKETS,
)
DELIVERY = histogram(
    "channel_layer_delivery_seconds", "From a layer message's sending to its handling.", buckets=TASK_BUCKETS
)

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


def carry(message: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a channel-layer message with the running context in it."""
    carrier = {
        **to_carrier(current()),
        "traceparent": traceparent.of_current(),
        "sent_at": repr(time.time()),
    }
    return {**message, CARRIER: carrier}


async def _carried(message: dict[str, Any]) -> dict[str, Any]:
    try:
        return carry(message)
    except SynchronousOnlyOperation:  # an async view that hasn't looked at its user yet: to load one takes a query
        return await sync_to_async(carry)(message)


class TracedChannelLayer:
    """Mixed in before a channel layer: sends in a span, and puts the context into the message."""

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        # A channel's own name is random: it would make the destination's cardinality unbounded.
        await self._send_traced("send", "channel", channel, message)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self._send_traced("group_send", group, group, message)

    async def forward(self, method: str, address: str, message: dict[str, Any]) -> None:
        """Call the layer's own `method`, `send` or `group_send`."""
        await getattr(super(), method)(address, message)

    async def _send_traced(self, method: str, destination: str, address: str, message: dict[str, Any]) -> None:
        with tracer().start_as_current_span(
            f"{method} {message.get('type', '')}",
            kind=SpanKind.PRODUCER,
            attributes={
                "messaging.system": "channels",
                "messaging.operation.name": method,
                "messaging.destination.name": destination,
                "messaging.message.type": str(message.get("type", "")),
            },
        ):
            await self.forward(method, address, await _carried(message))


class HandshakeMiddleware:
    """ASGI, outermost for WebSockets: gives each connection its context, span, metrics and log lines."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope.get("headers", [])}
        peer = (scope.get("client") or ("", 0))[0]
        is_trusted = conf.is_trusted(peer)
        given = headers.get("x-request-id", "")
        request_id = given if is_trusted and is_request_id(given) else new_request_id()
        work = Work(
            "WEBSOCKET",
            origin="websocket",
            sampled_as=scope["path"],
            request_id=request_id,
            kind=SpanKind.SERVER,
            attributes={"url.path": scope["path"][:500], "client.address": peer},
            links=traceparent.links_to(headers.get("traceparent", "")),
        )
        connection = _Connection(scope, work, send)
        work.enter(
            Context(
                request_id=request_id,
                origin="websocket",
                operation=f"WEBSOCKET {scope['path']}"[:200],
                actor_source=lambda: _actor_of(connection.scope),
                trace_id=work.trace_id,
                span_id=work.span_id,
                client_address=peer,
                user_agent=clean(headers.get("user-agent", "")[:200]),
            )
        )
        scope["telemetry"] = connection
        try:
            await self._app(scope, receive, connection.send)
        finally:
            connection.close()
            work.leave()


class _Connection:
    """One WebSocket, from its handshake to its end."""

    def __init__(self, scope: Scope, work: Work, send: Send) -> None:
        self.span_context = work.span.context
        self.close_code = 1006  # nobody said goodbye
        self.scope = scope  # the consumer's own, once there is one: middleware copies scopes, and adds the user
        self.route = ""  # the consumer's, once there is one; an unknown path is no label
        self._work = work
        self._send = send
        self._begun = time.perf_counter()
        self._is_accepted = False
        self._is_closed = False

    async def send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self._accept()
            headers = [*message.get("headers", []), (b"x-request-id", current().request_id.encode())]
            message = {**message, "headers": headers}
        elif kind == "websocket.close":
            self.close_code = message.get("code", 1000)
        elif kind == "websocket.send":
            MESSAGES.labels("sent", self.route).inc()
        await self._send(message)

    def _accept(self) -> None:
        self._is_accepted = True
        CONNECTIONS.labels(self.route).inc()
        self._work.span.update_name(f"WEBSOCKET {self.route}".rstrip())
        self._work.span.set_attribute("http.route", self.route)
        self._work.finish()

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        elapsed = time.perf_counter() - self._begun
        if self._is_accepted:
            CONNECTIONS.labels(self.route).dec()
        else:
            self._work.span.set_status(StatusCode.ERROR, "handshake refused")
            self._work.finish(is_error=True)
        CONNECTION_DURATION.labels(self.route, str(self.close_code)).observe(elapsed)
        log.info("websocket.closed", route=self.route, code=self.close_code, duration_ms=round(elapsed * 1_000, 1))


class TracedConsumer:
    """Mixed in first of a consumer's bases: a span for each message from the browser and from the channel layer."""

    scope: Scope

    async def dispatch(self, message: dict[str, Any]) -> None:
        connection: _Connection | None = self.scope.get("telemetry")
        if connection is None:
            await super().dispatch(message)  # type: ignore[misc]
            return
        kind = str(message.get("type", ""))
        connection.scope = self.scope
        connection.route = f"/{_route_of(self.scope)}"
        if kind == "websocket.connect":
            await super().dispatch(message)  # type: ignore[misc]
        elif kind == "websocket.disconnect":
            if connection.close_code == 1006:
                connection.close_code = message.get("code") or 1006
            await super().dispatch(message)  # type: ignore[misc]
        elif kind == "websocket.receive":
            MESSAGES.labels("received", connection.route).inc()
            context = Context(
                request_id=new_request_id(),
                origin="websocket",
                operation=f"WEBSOCKET {connection.route}",
                actor_source=_actor_of(self.scope),
                client_address=current().client_address,
                user_agent=current().user_agent,
            )
            await self._dispatch_traced(
                message, f"receive {connection.route}", context, [Link(connection.span_context)]
            )
        else:
            await self._dispatch_delivery(message, kind, connection)

    async def _dispatch_delivery(self, message: dict[str, Any], kind: str, connection: _Connection) -> None:
        carrier = message.pop(CARRIER, {})
        context = from_carrier(carrier, origin="websocket", operation=f"WEBSOCKET {connection.route}")
        with suppress(ValueError):
            DELIVERY.observe(max(0.0, time.time() - float(carrier.get("sent_at", ""))))
        parent = traceparent.parse(carrier.get("traceparent", ""))
        await self._dispatch_traced(
            message,
            f"deliver {kind}",
            context,
            [Link(connection.span_context)],
            parent=parent,
            is_delivery=True,
        )

    async def _dispatch_traced(
        self,
        message: dict[str, Any],
        name: str,
        context: Context,
        links: list[Link],
        *,
        parent: trace.SpanContext | None = None,
        is_delivery: bool = False,
    ) -> None:
        work = Work(
            name,
            origin="websocket",
            sampled_as=str(message.get("type", "")),
            request_id=context.request_id,
            kind=SpanKind.CONSUMER if is_delivery else SpanKind.SERVER,
            attributes={
                "messaging.system": "channels" if is_delivery else "websocket",
                "messaging.message.type": str(message.get("type", "")),
                "recipient.user.id": _actor_of(self.scope).id,
            },
            parent=parent,
            links=links,
        )
        work.enter(replace(context, trace_id=work.trace_id, span_id=work.span_id))
        has_failed = False
        try:
            await super().dispatch(message)  # type: ignore[misc]
        except Exception as error:
            has_failed = True
            work.span.record_exception(error)
            work.span.set_status(StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            work.leave()
            work.finish(is_error=has_failed)
            connection: _Connection = self.scope["telemetry"]
            HANDLER.labels(connection.route).observe(work.elapsed_ns / 1e9)


class UnknownPath:
    """The consumer of every path that no route matches: closes with 4404, so that a browser learns why."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4404, "reason": "No socket has this address."})

    @classmethod
    def as_asgi(cls) -> "UnknownPath":
        return cls()


def _route_of(scope: Scope) -> str:
    """The route with its parameters' names, never their values."""
    path = str(scope["path"]).lstrip("/")
    for name, value in scope.get("url_route", {}).get("kwargs", {}).items():
        path = path.replace(str(value), f"<{name}>", 1)
    return path


def _actor_of(scope: Scope) -> Actor:
    user = scope.get("user")
    if user is None or not getattr(user, "is_authenticated", False):
        return ANONYMOUS
    return Actor(type="user", id=str(user.pk), label=user.get_username())
