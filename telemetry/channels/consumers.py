"""Consumers: each message of the browser and of the layer in a piece of work, within the context of its cause."""

from dataclasses import replace
from time import perf_counter_ns
from typing import Any

from channels.exceptions import StopConsumer
from opentelemetry.trace import Link, SpanKind, StatusCode

from telemetry.channels import carrier as carriers
from telemetry.channels.broadcasts import Broadcast
from telemetry.channels.carrier import CARRIER, without_carrier
from telemetry.channels.connections import Connection, Scope
from telemetry.channels.metrics import DELIVERY, HANDLER, MESSAGES
from telemetry.context import Context, current, from_carrier, new_request_id
from telemetry.database import repeats
from telemetry.faults import note_fault
from telemetry.tracing import traceparent
from telemetry.tracing.work import Work

_Piece = tuple[Work, Context]


class TracedConsumer:
    """Mixed in first of a consumer's bases: a span for each message of the browser, and one for each broadcast."""

    scope: Scope

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Handle a message, as the consumer does."""
        plain = message
        try:
            connection = self.scope.get("telemetry")
            if connection is None:
                connection = self.scope["telemetry"] = Connection(self.scope)
            if connection.scope is not self.scope:
                connection.become(self.scope)
            key = message.get(CARRIER)
            broadcast: Broadcast | None = None
            piece: _Piece | None = None
            if key is None:
                piece = _piece_of(message, connection)
            else:
                plain = without_carrier(message)
                broadcast = connection.broadcasts.of(key, message)
                if broadcast is None:
                    piece = _delivery(message, carriers.parse(key), connection)
                recipient = connection.recipient()
        except Exception as fault:
            note_fault("channels.dispatch", fault)
            await super().dispatch(without_carrier(message))  # type: ignore[misc]
            return
        if broadcast is None:
            assert piece is not None  # noqa: S101
            await self._dispatch_in(piece, plain, connection)
            return
        tokens = broadcast.enter(connection.route)
        begun_ns = perf_counter_ns()
        try:
            await super().dispatch(plain)  # type: ignore[misc]
        except StopConsumer:
            raise
        except BaseException as error:
            broadcast.fail(error)
            raise
        finally:
            broadcast.leave(tokens, recipient, begun_ns)

    async def _dispatch_in(self, piece: _Piece, message: dict[str, Any], connection: Connection) -> None:
        work, context = piece
        has_failed = False
        work.enter(replace(context, trace_id=work.trace_id, span_id=work.span_id))
        try:
            await super().dispatch(message)  # type: ignore[misc]
        except StopConsumer:
            raise
        except Exception as error:
            has_failed = True
            work.span.record_exception(error)
            work.span.set_status(StatusCode.ERROR, type(error).__name__)
            raise
        except BaseException:
            work.span.set_attribute("client.disconnected", True)
            raise
        finally:
            work.leave()
            if work.statements:
                work.span.set_attribute("db.statements", work.statements)
            repeats.tell(work, work.span.name)
            work.finish(is_error=has_failed)
            HANDLER.labels(connection.route).observe(work.elapsed_ns / 1e9)


def _piece_of(message: dict[str, Any], connection: Connection) -> _Piece:
    """Begin the work of a message that carries no cause: one of the browser, as a rule."""
    kind = str(message.get("type", ""))[:200]
    route = connection.route
    links = [Link(connection.handshake)] if connection.handshake is not None else []
    attributes = {"messaging.system": "websocket", "messaging.message.type": kind, "http.route": route}
    if kind == "websocket.connect":
        # What runs on after the accept, when the handshake's own span is over.
        context = current()
        return _work(f"connect {route}", context, attributes, kind, connection, parent=connection.handshake), context
    if kind == "websocket.disconnect":
        connection.client_code = message.get("code")
        context = current()
        return _work(f"disconnect {route}", context, attributes, kind, connection, links=links), context
    if kind != "websocket.receive":  # a layer's message of a sender that has no telemetry
        return _delivery(message, {}, connection)
    MESSAGES.labels("received", route).inc()
    connecting = current()
    context = Context(
        request_id=new_request_id(),
        origin="websocket",
        operation=f"WEBSOCKET {route}".rstrip(),
        actor_source=connection.actor(),
        client_address=connecting.client_address,
        user_agent=connecting.user_agent,
    )
    return _work(f"receive {route}", context, attributes, kind, connection, links=links), context


def _delivery(message: dict[str, Any], carrier: dict[str, Any], connection: Connection) -> _Piece:
    """Begin the work of a layer's message for one recipient: a child of what sent it."""
    kind = str(message.get("type", ""))[:200]
    context = from_carrier(carrier, origin="websocket", operation=f"WEBSOCKET {connection.route}".rstrip())
    work = _work(
        f"deliver {kind}",
        context,
        {"messaging.system": "channels", "messaging.operation.name": "deliver", "messaging.message.type": kind},
        kind,
        connection,
        span_kind=SpanKind.CONSUMER,
        parent=traceparent.parse(str(carrier.get("traceparent", ""))),
        links=[Link(connection.handshake)] if connection.handshake is not None else [],
    )
    work.span.attributes["recipient.user.id"] = connection.actor().id
    if (sent_at := carriers.sent_at(carrier)) is not None:
        latency = max(0.0, work.span.start_ns / 1e9 - sent_at)
        work.span.attributes["messaging.delivery_latency_ms"] = round(latency * 1e3, 3)
        is_sampled = work.span.context.trace_flags.sampled
        DELIVERY.observe(latency, {"trace_id": work.trace_id} if is_sampled else None)
    return work, context


def _work(
    name: str,
    context: Context,
    attributes: dict[str, Any],
    kind: str,
    connection: Connection,
    *,
    span_kind: SpanKind = SpanKind.SERVER,
    **relations: Any,
) -> Work:
    user_id = connection.actor().id
    if user_id and span_kind is SpanKind.SERVER:
        attributes["user.id"] = user_id
    return Work(
        name.rstrip(),
        origin="websocket",
        sampled_as=kind,
        request_id=context.request_id,
        kind=span_kind,
        attributes=attributes,
        **relations,
    )
