"""WebSockets from their handshake to their end. The handshake's span is over once the socket is accepted or refused."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

from telemetry import conf
from telemetry.channels import broadcasts
from telemetry.channels.broadcasts import Recipient
from telemetry.channels.metrics import CONNECTION_DURATION, CONNECTIONS, close_code_label
from telemetry.channels.routes import route_of
from telemetry.context import ANONYMOUS, Actor, Context, current, is_request_id, new_request_id
from telemetry.faults import note_fault
from telemetry.http.exchange import client_address
from telemetry.logs import get_logger
from telemetry.redaction import clean
from telemetry.tracing import traceparent
from telemetry.tracing.work import Work

log = get_logger("channels")
_NOBODY_SAID_GOODBYE = 1006
_NORMAL = 1000

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class HandshakeMiddleware:
    """ASGI, outermost for WebSockets: gives each connection its context, span, metrics and log lines."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope.get("headers", [])}
        peer = (scope.get("client") or ("", 0))[0]
        path = str(scope.get("path", ""))
        is_trusted = conf.is_trusted(peer)
        given = headers.get("x-request-id", "")
        request_id = given if is_trusted and is_request_id(given) else new_request_id()
        remote = traceparent.parse(headers.get("traceparent", ""))
        work = Work(
            "WEBSOCKET",
            origin="websocket",
            sampled_as=path,
            request_id=request_id,
            kind=SpanKind.SERVER,
            attributes={"url.path": path[:500], "client.address": peer},
            parent=remote if is_trusted else None,
            # A stranger's trace: ours begins anew, and tells of it.
            links=[Link(remote)] if remote is not None and not is_trusted else (),
        )
        connection = Connection(scope, work, send)
        work.enter(
            Context(
                request_id=request_id,
                origin="websocket",
                operation=f"WEBSOCKET {path}"[:200],
                actor_source=connection.actor,
                trace_id=work.trace_id,
                span_id=work.span_id,
                client_address=client_address(peer, headers.get("x-forwarded-for", "")) if is_trusted else peer,
                user_agent=clean(headers.get("user-agent", "")[:200]),
            )
        )
        scope["telemetry"] = connection
        try:
            await self._app(scope, receive, connection.send)
        except Exception as error:
            connection.fail(error)
            raise
        finally:
            connection.close()
            work.leave()


class Connection:
    """One WebSocket; or, with no `work`, a consumer that has no socket, as those of a worker."""

    def __init__(self, scope: Scope, work: Work | None = None, send: Send | None = None) -> None:
        self.handshake: SpanContext | None = work.span.context if work is not None else None
        self.broadcasts = broadcasts.join()
        self.client_code: object = None
        self._server_code: object = None
        self._work = work
        self._send = send
        self._begun = time.perf_counter()
        self._accepted_route: str | None = None
        self._user: Any = None
        self._actor = ANONYMOUS
        self._recipient: Recipient | None = None
        self.become(scope)

    def become(self, scope: Scope) -> None:
        """Take over the scope of the consumer that serves it: middleware copies scopes, and adds the user."""
        self.scope = scope
        self.route = route_of(scope)
        self.tally = self.broadcasts.tally(self.route)
        self._recipient = None

    def actor(self) -> Actor:
        """Return who is connected, as far as is known at this moment."""
        user = self.scope.get("user")
        if user is not self._user:
            self._actor = ANONYMOUS
            if user is not None and getattr(user, "is_authenticated", False):
                self._actor = Actor(type="user", id=str(user.pk), label=user.get_username())
            self._user = user
        return self._actor

    def recipient(self) -> Recipient:
        """Return what spans say of who gets a message here."""
        known = self._recipient
        if known is None or self.scope.get("user") is not self._user:
            known = self._recipient = Recipient(self.actor().id, self.route, self.handshake)
        return known

    async def send(self, message: dict[str, Any]) -> None:
        """Pass on what the application sends, and note it."""
        assert self._send is not None  # noqa: S101
        if message.get("type") == "websocket.send":
            self.tally.sent += 1
            if self.broadcasts.timer is None:
                self.broadcasts.schedule()
        else:
            try:
                message = self._note_sent(message)
            except Exception as fault:
                note_fault("channels.connection", fault)
        await self._send(message)

    def fail(self, error: Exception) -> None:
        """Note that the application failed; only before its end is that the handshake's failure."""
        if self._work is not None and not self._work.is_finished:
            self._work.span.record_exception(error)
            self._work.span.set_status(StatusCode.ERROR, type(error).__name__)
            self._end_handshake("failed", is_error=True)

    def close(self) -> None:
        """Note its end, once; never raises."""
        try:
            if self._accepted_route is not None:
                CONNECTIONS.labels(self._accepted_route).dec()
            self._end_handshake("abandoned")
            self._tell_end()
        except Exception as fault:
            note_fault("channels.connection", fault)
        finally:
            broadcasts.leave(self.broadcasts)

    def _tell_end(self) -> None:
        elapsed = time.perf_counter() - self._begun
        # Who closes first gives the code; the other one's is an echo of it.
        code = self._server_code or self.client_code or _NOBODY_SAID_GOODBYE
        CONNECTION_DURATION.labels(self.route, close_code_label(code)).observe(elapsed)
        log.info("websocket.closed", route=self.route, code=code, duration_ms=round(elapsed * 1_000, 1))

    def _note_sent(self, message: dict[str, Any]) -> dict[str, Any]:
        kind = message.get("type")
        if kind == "websocket.accept":
            return self._accept(message)
        if kind == "websocket.close":
            self._server_code = message.get("code") or _NORMAL
        if kind in ("websocket.close", "websocket.http.response.start"):
            self._end_handshake("refused")
        return message

    def _accept(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._accepted_route is None:
            self._accepted_route = self.route
            CONNECTIONS.labels(self.route).inc()
        self._end_handshake("accepted")
        return {**message, "headers": [*message.get("headers", []), (b"x-request-id", current().request_id.encode())]}

    def _end_handshake(self, outcome: str, *, is_error: bool = False) -> None:
        work = self._work
        if work is None or work.is_finished:
            return
        work.span.update_name(f"WEBSOCKET {self.route}".rstrip())
        work.span.set_attribute("http.route", self.route)
        work.span.set_attribute("websocket.handshake.outcome", outcome)
        if user_id := self.actor().id:
            work.span.set_attribute("user.id", user_id)
        work.finish(is_error=is_error)


class UnknownPath:
    """The consumer of every path that no route matches: closes with 4404, so that a browser learns why."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4404, "reason": "No socket has this address."})

    @classmethod
    def as_asgi(cls) -> "UnknownPath":
        return cls()
