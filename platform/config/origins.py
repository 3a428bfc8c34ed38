"""Who may open a socket: browsers don't keep foreign pages from it, and send their cookies along."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from channels.db import database_sync_to_async
from django.conf import settings
from django.http.request import validate_host

import audit
from telemetry.logs import get_logger

log = get_logger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_CLOSE_CODE = 4403
_LONGEST_ORIGIN = 200


class OriginMiddleware:
    """Refuses, with 403 before the handshake, sockets from pages that are neither of this host nor allowed."""

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin, host = _header(scope, b"origin"), _header(scope, b"host")
        if is_allowed(origin, host):
            await self.app(scope, receive, send)
            return
        log.warning("sockets.origin_refused", origin=origin[:_LONGEST_ORIGIN], path=scope.get("path", ""))
        await database_sync_to_async(_record)(origin)
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.close", "code": _CLOSE_CODE})


def is_allowed(origin: str, host: str) -> bool:
    """Whether a page of `origin` may open a socket on `host`; both as their headers have them."""
    page = _parsed(origin)
    if page is None:
        return False
    if page in {_parsed(allowed) for allowed in settings.SOCKET_ALLOWED_ORIGINS}:
        return True
    scheme, name, _ = page
    here = _parsed(f"{scheme}://{host}")
    # The host must be ours as well, or a name of a stranger's that leads here (DNS rebinding) would be its own origin.
    return here == page and validate_host(name, settings.ALLOWED_HOSTS)


def _parsed(origin: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin; None for what isn't one, such as `null`."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    is_origin = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    if not is_origin or not parts.hostname or parts.scheme not in _DEFAULT_PORTS:
        return None
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.scheme, name, port if port is not None else _DEFAULT_PORTS[parts.scheme]


def _header(scope: Scope, name: bytes) -> str:
    """The header's value; empty where it's missing, or there twice."""
    values = [value for key, value in scope.get("headers", []) if key == name]
    return values[0].decode("latin-1") if len(values) == 1 else ""


def _record(origin: str) -> None:
    audit.record("sockets.origin.refused", outcome="denied", changes={"origin": origin[:_LONGEST_ORIGIN]})
