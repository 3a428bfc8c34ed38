"""Sockets under test: the real consumer behind the real telemetry, on the real channel layer."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.urls import path

from accounts.models import User
from notifications.consumers import NotificationConsumer
from telemetry.channels import HandshakeMiddleware
from tests.notifications.client import SocketClient

Connect = Callable[..., Awaitable[SocketClient]]


@pytest.fixture(autouse=True)
def _redis(servers: Any) -> None:
    """Pushes go through the suite's Redis."""


@pytest.fixture
def author(transactional_db: None) -> User:
    return User.objects.create_user("author", password="x")


@pytest.fixture
def reader(transactional_db: None) -> User:
    return User.objects.create_user("reader", password="x")


@pytest.fixture
async def connect(transactional_db: None) -> AsyncIterator[Connect]:
    """Return a function that opens a socket for a user; None is a stranger."""
    opened: list[SocketClient] = []
    app = HandshakeMiddleware(URLRouter([path("ws/notifications/", NotificationConsumer.as_asgi())]))

    async def open_socket(user: User | None, session: Any = None) -> SocketClient:
        socket = SocketClient(app, "/ws/notifications/", user or AnonymousUser(), session=session)
        opened.append(socket)
        await socket.connect()
        return socket

    yield open_socket
    for socket in opened:
        await socket.disconnect()
    await database_sync_to_async(connections.close_all)()
