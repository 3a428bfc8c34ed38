"""Clients of a real sockets' process: they come back by themselves, fetch what they lack, and say things once."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any

import orjson
import websockets
from websockets.exceptions import WebSocketException

from tests.chat.client import Frame, RoomState

_SAY_AGAIN_SECONDS = 10.0
Snapshot = Callable[[], Awaitable[Frame]]


async def pause(seconds: float) -> None:
    """Let others go on for so long."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    timer = loop.call_later(seconds, over.set_result, None)
    try:
        await over
    finally:
        timer.cancel()


class Talker:
    """One person's page of a room."""

    def __init__(self, url: str, cookie: str, snapshot: Frame, look: Snapshot, *, seed: int = 0) -> None:
        self.state = RoomState(snapshot)
        self.connections = self.pushed = self.fetched = self.resyncs = 0
        self.waiting: dict[str, tuple[str, float]] = {}  # client id → body, and when it was sent last
        self._url, self._cookie, self._look, self._random = url, cookie, look, Random(seed)
        self._socket: Any = None
        self._is_over = self._is_fetching = False
        self._parsed: Callable[[str | bytes], Frame] = orjson.loads

    def parse_with(self, parse: Callable[[str | bytes], Frame]) -> None:
        """Read frames by `parse`, as several clients of one process may do together."""
        self._parsed = parse

    async def live(self) -> None:
        """Be connected until `leave`."""
        origin = self._url.replace("ws://", "http://").partition("/ws/")[0]
        while not self._is_over:
            with suppress(OSError, WebSocketException, TimeoutError):
                async with websockets.connect(
                    f"{self._url}?after={self.state.have}",
                    additional_headers={"Cookie": self._cookie},
                    origin=origin,  # type: ignore[arg-type]
                    compression=None,
                    max_size=None,
                    open_timeout=60,
                    proxy=None,
                ) as connected:
                    self._socket = connected
                    self.connections += 1
                    self._is_fetching = True  # the events that follow the hello
                    for client_id in list(self.waiting):
                        await self._send(client_id)
                    async for text in connected:
                        await self._receive(text)
            self._socket = None
            if not self._is_over:
                await pause(self._random.uniform(0.1, 1.0))

    async def leave(self) -> None:
        """Close the page."""
        self._is_over = True
        if self._socket is not None:
            await self._socket.close()

    async def say(self, body: str) -> None:
        """Say something; what can't be sent now is sent later."""
        client_id = str(uuid.UUID(int=self._random.getrandbits(128)))
        self.waiting[client_id] = body, 0.0
        await self._send(client_id)

    async def say_again(self) -> None:
        """Send once more what nobody has answered to for a while."""
        for client_id, (_, sent_at) in list(self.waiting.items()):
            if time.monotonic() - sent_at > _SAY_AGAIN_SECONDS:
                await self._send(client_id)

    async def _send(self, client_id: str) -> None:
        body, _ = self.waiting[client_id]
        self.waiting[client_id] = body, time.monotonic()
        await self._tell({"type": "send", "body": body, "client_id": client_id})

    async def _tell(self, frame: Frame) -> None:
        if self._socket is not None:
            with suppress(WebSocketException):
                await self._socket.send(orjson.dumps(frame).decode())

    async def _receive(self, text: str | bytes) -> None:
        frame = self._parsed(text)
        kind = frame["type"]
        if kind == "sent":
            self.waiting.pop(frame["client_id"], None)
        elif kind == "resync":
            self.resyncs += 1
            self.state.begin(await self._look())
        elif kind not in ("hello", "presence", "error", "maintenance"):
            self.fetched += len(frame["events"]) if kind == "events" else 0
            self.pushed += "message" in frame
            if kind == "events":
                self._is_fetching = False
            after = self.state.receive(frame)
            if after is not None and not self._is_fetching:  # one at a time: each answer is as long as it may be
                self._is_fetching = True
                await self._tell({"type": "fetch", "after": after})
