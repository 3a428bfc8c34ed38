"""A connection whose peer reads nothing is gone soon after it's closed, with all that was still to be sent."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from config import socket_protocol
from config.socket_protocol import SocketProtocol

_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def talkative(scope: Any, receive: Any, send: Any) -> None:
    """Send until nobody reads any more, and give up."""
    await receive()
    await send({"type": "websocket.accept"})
    try:
        async with asyncio.timeout(0.5):
            while True:
                await send({"type": "websocket.send", "bytes": b"x" * 100_000})
    except TimeoutError:
        return


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, wait_until: Any) -> Iterator[uvicorn.Server]:
    monkeypatch.setattr(socket_protocol, "LAST_SECONDS", 0.3)
    config = uvicorn.Config(talkative, ws=SocketProtocol, port=0, lifespan="off", log_config=None)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    wait_until(lambda: running.started)
    yield running
    running.should_exit = True
    thread.join(60)


def test_who_does_not_read_is_dropped(server: uvicorn.Server, wait_until: Any) -> None:
    address = server.servers[0].sockets[0].getsockname()
    connections = server.server_state.connections
    with socket.create_connection(address, timeout=60) as client:
        client.sendall(_HANDSHAKE)
        wait_until(lambda: connections)
        wait_until(lambda: not connections)
