"""A client of an ASGI application's WebSocket, in the test's own loop."""

import json
from typing import Any

from asgiref.testing import ApplicationCommunicator
from django.test import Client

from config.asgi import application


class SocketClient:
    """Speaks with one socket. `user` is who the session says, as the real stack's middleware would put it."""

    def __init__(self, app: Any, path: str, user: Any, *, query: bytes = b"", session: Any = None) -> None:
        scope = {
            "type": "websocket",
            "path": path,
            "headers": [],
            "query_string": query,
            "subprotocols": [],
            "client": ("127.0.0.1", 50_000),
            "user": user,
        }
        if session is not None:
            scope["session"] = session
        self._communicator = ApplicationCommunicator(app, scope)
        self._is_open = False

    async def connect(self) -> None:
        """Shake hands; fails where the handshake is refused."""
        await self._communicator.send_input({"type": "websocket.connect"})
        event = await self.receive_event()
        assert event["type"] == "websocket.accept", event
        self._is_open = True

    async def disconnect(self) -> None:
        """Close the socket and wait until the application has noticed."""
        # A receive that took too long has cancelled the application: there's nobody to tell any more.
        if self._is_open and not self._communicator.future.cancelled():
            self._is_open = False
            await self._communicator.send_input({"type": "websocket.disconnect", "code": 1000})
            await self._communicator.wait(60)

    async def send(self, message: object) -> None:
        """Send one JSON frame."""
        await self.send_frame(text=json.dumps(message))

    async def send_frame(self, **frame: Any) -> None:
        """Send one frame of `text` or `bytes`."""
        await self._communicator.send_input({"type": "websocket.receive", "text": None, "bytes": None, **frame})

    async def receive(self) -> Any:
        """Return the next JSON frame; fails where the socket is closed instead."""
        event = await self.receive_event()
        assert event["type"] == "websocket.send", event
        return json.loads(event["text"])

    async def receive_event(self) -> dict[str, Any]:
        """Return the next ASGI event."""
        event: dict[str, Any] = await self._communicator.receive_output(60)
        return event

    async def receive_nothing(self) -> bool:
        """Whether nothing comes for a moment."""
        is_silent: bool = await self._communicator.receive_nothing(0.2)
        return is_silent


class BrowserClient(SocketClient):
    """Speaks as a browser does: by the platform's whole stack, with a session's cookie."""

    path = ""

    def __init__(self, browser: Client, query: str) -> None:
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())
        headers = {"origin": "http://testserver", "host": "testserver", "cookie": cookies}
        scope = {
            "type": "websocket",
            "path": self.path,
            "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
            "query_string": query.encode(),
            "subprotocols": [],
            "client": ("127.0.0.1", 50_000),
        }
        self._communicator = ApplicationCommunicator(application, scope)
        self._is_open = False
