"""Rooms, people, and sockets under test: the real consumer on the real channel layer."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.urls import path

from accounts.models import User
from chat import actions
from chat.consumers import ChatConsumer
from chat.models import Room
from telemetry.channels import HandshakeMiddleware
from tests.notifications.client import SocketClient

Enter = Callable[..., Awaitable[SocketClient]]


@pytest.fixture(autouse=True)
def _redis(servers: Any) -> None:
    """Pushes go through the suite's Redis."""


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
    opened: list[SocketClient] = []
    app = HandshakeMiddleware(URLRouter([path("ws/chat/<slug:room>/", ChatConsumer.as_asgi())]))

    async def open_socket(user: User | None, room: str = "a-room") -> SocketClient:
        socket = SocketClient(app, f"/ws/chat/{room}/", user or AnonymousUser())
        opened.append(socket)
        await socket.connect()
        return socket

    yield open_socket
    for socket in opened:
        await socket.disconnect()
    await database_sync_to_async(connections.close_all)()
