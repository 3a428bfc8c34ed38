"""Pushes from synchronous code to the channel layer.

An event loop and a connection for each push would be costly, so a process has one background thread with a loop,
started by its first push. Pushes go out one after the other, in the order they came. They may be lost: what matters
is in the database first, and clients fetch what they missed.
"""

import asyncio
import atexit
import contextvars
import os
import threading
from typing import Any

from channels.layers import get_channel_layer

from notifications.metrics import PUSH_DROPPED
from telemetry.logs import get_logger

log = get_logger(__name__)

BACKLOG_LIMIT = 1_000
_SEND_TIMEOUT_SECONDS = 5.0
_EXIT_TIMEOUT_SECONDS = 2.0


def group_of(user_id: int) -> str:
    """Return the channel-layer group of a person's open pages."""
    return f"notifications.user-{user_id}"


class Pusher:
    """The background thread of one process, and what waits for it."""

    def __init__(self, *, backlog_limit: int = BACKLOG_LIMIT) -> None:
        self._backlog_limit = backlog_limit
        self._backlog = 0
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._queue: asyncio.Queue[tuple[str, dict[str, Any], contextvars.Context]] = asyncio.Queue()
        self._thread = threading.Thread(target=self._run, name="notifications-push", daemon=True)
        self._thread.start()

    def push(self, group: str, message: dict[str, Any]) -> bool:
        """Queue a message with the caller's context; False where the backlog is full."""
        with self._changed:
            if self._backlog >= self._backlog_limit:
                return False
            self._backlog += 1
        self._loop.call_soon_threadsafe(self._queue.put_nowait, (group, dict(message), contextvars.copy_context()))
        return True

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until all that is queued was sent or given up; False where that took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: self._backlog == 0, timeout_seconds)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._send_all())

    async def _send_all(self) -> None:
        while True:
            group, message, context = await self._queue.get()
            try:
                # A task of its own, so that the send runs within the context of whoever pushed.
                await self._loop.create_task(self._send(group, message), context=context)
            finally:
                with self._changed:
                    self._backlog -= 1
                    self._changed.notify_all()

    async def _send(self, group: str, message: dict[str, Any]) -> None:
        try:
            await asyncio.wait_for(get_channel_layer().group_send(group, message), _SEND_TIMEOUT_SECONDS)
        except Exception as error:
            PUSH_DROPPED.labels(reason="timeout" if isinstance(error, TimeoutError) else "error").inc()
            log.warning("notifications.push_failed", group=group, error=f"{type(error).__name__}: {error}")


_pusher: Pusher | None = None
_lock = threading.Lock()


def push_to_group(group: str, message: dict[str, Any]) -> None:
    """Send `message` to a channel-layer group, soon and without waiting; never raises.

    Call it in `transaction.on_commit`. The telemetry context of the caller goes along.
    """
    global _pusher
    try:
        with _lock:
            if _pusher is None:
                _pusher = Pusher()
            pusher = _pusher
        is_queued = pusher.push(group, message)
    except Exception as error:  # no thread to be had, or the loop is gone at the interpreter's end
        PUSH_DROPPED.labels(reason="error").inc()
        log.warning("notifications.push_failed", group=group, error=f"{type(error).__name__}: {error}")
        return
    if not is_queued:
        PUSH_DROPPED.labels(reason="backlog_full").inc()
        log.warning("notifications.push_dropped", group=group, reason="backlog_full")


def flush(timeout_seconds: float = _EXIT_TIMEOUT_SECONDS) -> bool:
    """Wait for the pushes of this process, before it ends; False where that took too long."""
    return _pusher is None or _pusher.flush(timeout_seconds)


def _forget_parent() -> None:
    """A forked child has the parent's object, but neither its thread nor sane locks."""
    global _pusher, _lock
    _pusher, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_parent)
atexit.register(flush)
