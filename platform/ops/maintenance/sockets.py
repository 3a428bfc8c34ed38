"""Open sockets are told when maintenance begins and ends; those of people who may not stay are closed then.

Each process looks for itself, once a second for all its sockets: a push through Redis may be lost, and this may not.
"""

import asyncio
import contextvars
import json
from collections.abc import Awaitable, Callable
from typing import Any

from channels.db import database_sync_to_async
from django.db import connections

from ops.maintenance import queries
from ops.maintenance.metrics import TURNED_AWAY
from ops.maintenance.passing import is_staff
from ops.maintenance.queries import Window
from telemetry.logs import get_logger

log = get_logger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

SERVICE_RESTART = 1012
_SEND_TIMEOUT_SECONDS = 5.0


class MaintenanceMiddleware:
    """ASGI, for WebSockets, within whatever finds out the user."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._watch = _Watch()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = _Socket(send, may_stay=is_staff(scope.get("user")))
        self._watch.join(socket)
        try:
            await self._app(scope, receive, socket.send)
        finally:
            self._watch.leave(socket)


class _Socket:
    """One connection, which can be told something beside what its consumer sends."""

    def __init__(self, send: Send, *, may_stay: bool) -> None:
        self._send = send
        self._may_stay = may_stay
        self._is_open = False
        self._is_over = False
        self._told: Window | None = None

    async def send(self, message: dict[str, Any]) -> None:
        """Send what the consumer sends; after the end there's nobody to send it to."""
        if self._is_over:
            return
        self._is_over = message["type"] == "websocket.close"
        await self._send(message)
        if message["type"] == "websocket.accept":
            self._is_open = True
            await self.tell(await _look())

    async def tell(self, window: Window | None) -> None:
        """Tell whether maintenance is on, and close the socket where its user may not stay."""
        if not self._is_open or self._is_over or window == self._told:
            return
        self._told = window
        self._is_over = is_last = window is not None and not self._may_stay
        frame = {"type": "maintenance", **queries.as_dict(window)}
        await self._send({"type": "websocket.send", "text": json.dumps(frame)})
        if is_last:
            TURNED_AWAY.labels("websocket").inc()
            await self._send({"type": "websocket.close", "code": SERVICE_RESTART, "reason": "Maintenance."})


class _Watch:
    """Looks once a second, as long as there are sockets, and tells all of them what has changed."""

    def __init__(self) -> None:
        self._sockets: set[_Socket] = set()
        self._running: asyncio.Task[None] | None = None

    def join(self, socket: _Socket) -> None:
        self._sockets.add(socket)
        if self._running is None:
            # In a context of its own: it isn't part of the first socket's handshake.
            self._running = asyncio.create_task(self._run(), context=contextvars.Context())

    def leave(self, socket: _Socket) -> None:
        self._sockets.discard(socket)
        if not self._sockets and self._running is not None:
            self._running.cancel()
            self._running = None

    async def _run(self) -> None:
        told: Window | None = None
        while True:
            try:
                window = await _look()
                if window != told:
                    told = window
                    await asyncio.gather(*(_tell(socket, window) for socket in list(self._sockets)))
            except Exception:
                log.exception("ops.maintenance_watch_failed")
            await asyncio.sleep(queries.KEPT_SECONDS)


async def _tell(socket: _Socket, window: Window | None) -> None:
    try:
        await asyncio.wait_for(socket.tell(window), _SEND_TIMEOUT_SECONDS)
    except (OSError, RuntimeError, TimeoutError) as error:  # it's gone, or doesn't read
        log.info("ops.maintenance_not_told", error=type(error).__name__)


async def _look() -> Window | None:
    if queries.is_known():
        return queries.current()

    def look() -> Window | None:
        try:
            return queries.current()
        finally:
            connections["default"].close()  # threads come and go

    window: Window | None = await database_sync_to_async(look, thread_sensitive=False)()
    return window
