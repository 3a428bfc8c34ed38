"""WebSockets as uvicorn serves them, with an end for whoever doesn't read: the server waits for nobody for ever.

A connection that is closed while its peer reads nothing keeps what is still to be sent until the system's own timeout,
which is minutes away. Here it's dropped after some seconds.
"""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LAST_SECONDS = 12.0  # beyond the ten that uvicorn itself waits for the answer to its close frame


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, whose connections end."""

    async def run_asgi(self) -> None:
        """Serve one socket, and see to it that its connection is gone soon after."""
        await super().run_asgi()
        self._drop_later()

    def keepalive_timeout(self) -> None:
        """Close a connection whose peer doesn't answer pings."""
        super().keepalive_timeout()
        self._drop_later()

    def _drop_later(self) -> None:
        transport: Any = self.transport
        # Harmless where it's gone by then.
        self.loop.call_later(LAST_SECONDS, transport.abort)
