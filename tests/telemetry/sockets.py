"""Sockets under test: one consumer on any of the three channel layers."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import InMemoryChannelLayer
from channels.routing import URLRouter
from channels_redis.core import RedisChannelLayer
from django.db import connection
from django.urls import path

from telemetry.channels import HandshakeMiddleware, TracedChannelLayer, TracedConsumer
from telemetry.context import current
from tests.notifications.client import SocketClient

GROUP = "news"


class MemoryLayer(TracedChannelLayer, InMemoryChannelLayer):  # type: ignore[misc]
    """The layer of a project's tests."""


class CoreLayer(TracedChannelLayer, RedisChannelLayer):  # type: ignore[misc]
    """The other of Redis' two."""

    brpop_timeout = 0.1  # a socket that closes waits that long for the layer

    async def _brpop_with_clean(self, index: int, channel: str, timeout: float) -> Any:
        member = await super()._brpop_with_clean(index, channel, timeout=timeout)
        task = asyncio.current_task()
        if member is None and task is not None and task.cancelling():
            raise asyncio.CancelledError  # the client of Redis passes one over now and then, and it waits for ever
        return member


class Listener(TracedConsumer, AsyncWebsocketConsumer):  # type: ignore[misc]
    """Tells its client what it hears, and within which context."""

    gate: asyncio.Event | None = None  # where set, handlers wait for it
    waiting: asyncio.Semaphore | None = None  # released by each handler that waits

    async def connect(self) -> None:
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()
        await self.tell(channel=self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if text_data == "fail":
            raise RuntimeError("a handler's own fault")
        await self.tell(heard=text_data)

    async def news_told(self, event: dict[str, Any]) -> None:
        await self.tell(event=event)

    async def news_failing(self, event: dict[str, Any]) -> None:
        if self.scope["user"].pk == event["fails_for"]:
            raise RuntimeError("a handler's own fault")
        await self.tell(event=event)

    async def news_counted(self, event: dict[str, Any]) -> None:
        await database_sync_to_async(_ask)()
        await self.tell(event=event)

    async def news_slow(self, event: dict[str, Any]) -> None:
        if self.scope["user"].pk == event["waits_for"]:
            assert self.gate is not None
            assert self.waiting is not None
            self.waiting.release()
            await self.gate.wait()
        await self.tell(event=event)

    async def tell(self, **fields: Any) -> None:
        context = current()
        told = {"request_id": context.request_id, "actor": context.actor.label, "operation": context.operation}
        await self.send(text_data=json.dumps({**told, **fields}))


def _ask() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def person(number: int) -> Any:
    """Return somebody logged in."""
    return SimpleNamespace(pk=number, is_authenticated=True, get_username=lambda: f"person-{number}")


application = HandshakeMiddleware(URLRouter([path("ws/news/<slug:topic>/", Listener.as_asgi())]))


class NewsSocket(SocketClient):
    """One person's open socket."""

    def __init__(self, number: int, *, headers: list[tuple[bytes, bytes]] | None = None, peer: str = "127.0.0.1"):
        super().__init__(application, "/ws/news/all/", person(number))
        self.scope: dict[str, Any] = self._communicator.scope
        self.scope["headers"] = headers or []
        self.scope["client"] = (peer, 50_000)
        self.channel = ""

    async def open(self) -> None:
        """Shake hands."""
        await self.connect()
        self.channel = (await self.receive())["channel"]

    async def cut(self) -> None:
        """Cancel the connection, as a server does at its end."""
        self._is_open = False
        self._communicator.future.cancel()
        await asyncio.wait([self._communicator.future], timeout=60)

    async def failure(self) -> BaseException | None:
        """Wait until the application has ended by itself, and return what it failed with."""
        self._is_open = False
        await asyncio.wait([self._communicator.future], timeout=60)
        error: BaseException | None = self._communicator.future.exception()
        return error

    async def close_with(self, code: int) -> None:
        """Close it from the browser's side."""
        self._is_open = False
        await self._communicator.send_input({"type": "websocket.disconnect", "code": code})
        await self._communicator.wait(60)
