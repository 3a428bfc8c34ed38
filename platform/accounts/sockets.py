"""What all of the platform's WebSockets have in common: JSON frames with a type, clear errors, limits."""

import json
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from channels.consumer import get_handler_name
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db import connections

from telemetry import context
from telemetry.channels import TracedConsumer
from telemetry.logs import get_logger

T = TypeVar("T")
log = get_logger(__name__)

NORMAL = 1000
POLICY_VIOLATION = 1008
TOO_BIG = 1009
FAILED = 1011
TRY_LATER = 1013
NOT_LOGGED_IN = 4401
NOT_PERMITTED = 4403
NOT_FOUND = 4404

LONGEST_FRAME = 65_536
FRAMES_PER_SECOND = 10.0
BURST_FRAMES = 20

Handler = Callable[[dict[str, Any]], Awaitable[None]]


class FrameError(Exception):
    """A frame can't be obeyed: the text goes back to who sent it, and the socket stays open."""

    def __init__(self, title: str, detail: str) -> None:
        super().__init__(detail)
        self.title = title
        self.detail = detail


class TokenBucket:
    """Lets `burst` things through at once, and `rate_per_second` in the long run."""

    def __init__(self, rate_per_second: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_per_second = rate_per_second
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()

    def take(self) -> bool:
        """Whether one more may pass now."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate_per_second)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class _DirectDispatch:
    """Calls handlers without Channels' own trip to a thread for each message, a third of what a delivery costs.

    It's for closing old connections to the database; but whatever asks the database here does so in a thread that sees
    to its own.
    """

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Call the handler of a message's type."""
        handler = getattr(self, get_handler_name(message), None)
        if handler is None:
            raise ValueError(f"No handler for message type {message['type']}")
        await handler(message)


class JsonSocket(TracedConsumer, _DirectDispatch, AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """A socket whose frames are JSON objects with a `type`; `handlers()` says what each type does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bucket = TokenBucket(FRAMES_PER_SECOND, BURST_FRAMES)
        self._is_cut_off = False

    def handlers(self) -> dict[str, Handler]:
        """Return what the client may send, by type."""
        raise NotImplementedError

    async def accept_user(self) -> bool:
        """Accept the handshake; close it again with 4401 where nobody is logged in.

        A browser learns a close code only after the handshake, so it's accepted first.
        """
        await self.accept()
        user = self.scope.get("user")
        if user is None or not user.is_authenticated:
            await self.close(NOT_LOGGED_IN, "Log in first.")
            return False
        return True

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Obey one frame, or answer with an error."""
        if self._is_cut_off:
            return
        if not self._bucket.take():
            self._is_cut_off = True
            log.info("accounts.socket_limited", operation=type(self).__name__)
            await self.send_error("Too many frames", f"At most {FRAMES_PER_SECOND:.0f} a second; reconnect.")
            await self.close(POLICY_VIOLATION, "Too many frames.")
            return
        if len(text_data if text_data is not None else bytes_data or b"") > LONGEST_FRAME:
            self._is_cut_off = True
            await self.close(TOO_BIG, "The frame is too big.")
            return
        frame: dict[str, Any] = {}
        try:
            frame = _parse(text_data)
            handler = self.handlers().get(str(frame.get("type")))
            if handler is None:
                raise FrameError("Unknown type", f"This socket takes {', '.join(sorted(self.handlers()))}.")
            await handler(frame)
        except FrameError as error:
            # The client's own id, so that it knows which of its frames was refused.
            client_id = frame.get("client_id")
            await self.send_error(error.title, error.detail, client_id if isinstance(client_id, str) else None)

    async def send_error(self, title: str, detail: str, client_id: str | None = None) -> None:
        """Tell the client what is wrong, in the manner of the API's problem details."""
        request_id = context.current().request_id
        error = {"type": "error", "title": title, "detail": detail, "request_id": request_id}
        await self.send_json(error if client_id is None else {**error, "client_id": client_id})


async def in_database(function: Callable[..., T], *args: Any, executor: Executor) -> T:
    """Run `function` in one of the executor's threads, which holds no connection afterwards."""

    def run() -> T:
        try:
            return function(*args)
        finally:
            connections["default"].close()

    result: T = await database_sync_to_async(run, thread_sensitive=False, executor=executor)()
    return result


def _parse(text: str | None) -> dict[str, Any]:
    if text is None:
        raise FrameError("Not text", "Frames are JSON in text, not in bytes.")
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError):
        raise FrameError("Not JSON", "The frame can't be read as JSON.") from None
    if not isinstance(frame, dict):
        raise FrameError("Not an object", "A frame is a JSON object with a type.")
    return frame
