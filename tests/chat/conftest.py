"""Rooms, people, and sockets under test: the real consumer on the real channel layer."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.urls import path

from accounts.models import User
from chat import actions, limits
from chat.consumers import ChatConsumer
from chat.models import Room
from telemetry.channels import HandshakeMiddleware
from tests.notifications.client import SocketClient


class RoomClient(SocketClient):
    """A client that isn't told who is there, which comes at any time, unless it asks."""

    async def receive_event(self) -> dict[str, Any]:
        """Return the next ASGI event but for presence."""
        while '"type":"presence"' in (event := await super().receive_event()).get("text", ""):
            pass
        return event

    async def receive_nothing(self) -> bool:
        """Whether nothing but presence comes for a moment."""
        while not await super().receive_nothing():
            event = await SocketClient.receive_event(self)
            if '"type":"presence"' not in event.get("text", ""):
                return False
        return True

    async def receive_presence(self) -> dict[str, Any]:
        """Return the next that is told of who is there."""
        while True:
            event = await SocketClient.receive_event(self)
            frame: dict[str, Any] = json.loads(event["text"])
            if frame["type"] == "presence":
                return frame


Enter = Callable[..., Awaitable[RoomClient]]


@pytest.fixture(autouse=True)
def _redis(servers: Any) -> None:
    """Pushes go through the suite's Redis."""


@pytest.fixture
def in_one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is counted by the minute happens in the same one."""
    monkeypatch.setattr(limits, "time", SimpleNamespace(time=partial(float, time.time() // 60 * 60 + 30)))


@pytest.fixture
def room(transactional_db: None) -> Room:
    return actions.open_room("a-room", name="A room", topic="Tests", actor=None)


@pytest.fixture
def ann(transactional_db: None) -> User:
    return User.objects.create_user("ann", display_name="Ann", password="x")


@pytest.fixture
def bob(transactional_db: None) -> User:
    return User.objects.create_user("bob", password="x")


@pytest.fixture
async def enter(transactional_db: None) -> AsyncIterator[Enter]:
    """Return a function that opens a room's socket for a user; None is a stranger."""
    opened: list[RoomClient] = []
    app = HandshakeMiddleware(URLRouter([path("ws/chat/<slug:room>/", ChatConsumer.as_asgi())]))

    async def open_socket(
        user: User | None, room: str = "a-room", *, after: int | None = None, session: Any = None
    ) -> RoomClient:
        query = b"" if after is None else f"after={after}".encode()
        socket = RoomClient(app, f"/ws/chat/{room}/", user or AnonymousUser(), query=query, session=session)
        opened.append(socket)
        await socket.connect()
        return socket

    yield open_socket
    for socket in opened:
        await socket.disconnect()
    await database_sync_to_async(connections.close_all)()
