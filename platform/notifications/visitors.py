"""Who has a page of the site open, as far as this process serves their personal sockets.

Every three seconds all of them are looked at together: whoever logged out, or whose account was closed, is shown out.
Other parts of the platform may have something to tell visitors: their companions run while there are any.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.models import User
from accounts.places import renew_when_due
from accounts.sockets import in_database
from telemetry.logs import get_logger
from telemetry.tracing.work import unobserved

log = get_logger(__name__)

LOOK_SECONDS = 3.0
_AGAIN_SECONDS = 2.0
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="visitors")


class Socket(Protocol):
    """A visitor's personal socket."""

    user: User
    session_key: str | None  # None where there's no session to end

    async def send_json(self, content: Any) -> None: ...
    async def show_out(self) -> None: ...


class Visitors:
    """Those of one event loop."""

    def __init__(self) -> None:
        self._sockets: dict[int, set[Socket]] = {}  # by the id of their person
        self._sending: dict[Socket, asyncio.Task[None]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def user_ids(self) -> list[int]:
        """The people who are here."""
        return list(self._sockets)

    def join(self, socket: Socket) -> None:
        """Look after a socket from now on."""
        self._sockets.setdefault(socket.user.pk, set()).add(socket)
        if not self._tasks:
            # In a context of its own: none of it is part of the first socket's handshake.
            work: list[Companion] = [_look_after, *_companions]
            self._tasks = [asyncio.create_task(_keep_on(one, self), context=contextvars.Context()) for one in work]

    def leave(self, socket: Socket) -> None:
        """Forget a socket; one that isn't known is no matter."""
        sockets = self._sockets.get(socket.user.pk, set())
        sockets.discard(socket)
        if not sockets:
            self._sockets.pop(socket.user.pk, None)
        if not self._sockets:
            for task in self._tasks:
                task.cancel()
            self._tasks = []

    def tell(self, user_id: int, frame: dict[str, Any]) -> None:
        """Send a frame to somebody's pages, soon; one that still hasn't read the last goes without."""
        for socket in self._sockets.get(user_id, ()):
            if socket not in self._sending:
                self._sending[socket] = task = asyncio.create_task(_send(socket, frame))
                task.add_done_callback(lambda _, socket=socket: self._sending.pop(socket, None))  # type: ignore[misc]

    async def look(self) -> None:
        """Show out whoever isn't logged in any more."""
        sockets = [socket for sockets in self._sockets.values() for socket in sockets]
        keys = {socket.session_key for socket in sockets if socket.session_key}
        sessions, passwords = await in_database(_standing, keys, self.user_ids, executor=_THREAD)
        for socket in sockets:
            is_logged_out = socket.session_key is not None and socket.session_key not in sessions
            if is_logged_out or passwords.get(socket.user.pk) != socket.user.password:
                self.leave(socket)
                log.info("notifications.shown_out", user_id=socket.user.pk)
                await socket.show_out()


Companion = Callable[[Visitors], Awaitable[None]]
_companions: list[Companion] = []


def accompany(companion: Companion) -> None:
    """Have a coroutine run in each process while somebody is there; it's begun anew where it fails."""
    _companions.append(companion)


async def _keep_on(companion: Companion, visitors: Visitors) -> None:
    while True:
        try:
            with unobserved():  # a span for each look would be all that there is to see
                await companion(visitors)
        except Exception:
            log.exception("notifications.companion_failed")
        await asyncio.sleep(_AGAIN_SECONDS)


async def _look_after(visitors: Visitors) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        renew_when_due()
        await visitors.look()


def _standing(session_keys: set[str], user_ids: list[int]) -> tuple[set[str], dict[int, str]]:
    alive = Session.objects.filter(session_key__in=session_keys, expire_date__gt=timezone.now())
    sessions = set(alive.values_list("session_key", flat=True)) if session_keys else set()
    return sessions, dict(User.objects.filter(pk__in=user_ids, is_active=True).values_list("pk", "password"))


async def _send(socket: Socket, frame: dict[str, Any]) -> None:
    try:
        await socket.send_json(frame)
    except Exception as error:  # it left meanwhile
        log.info("notifications.not_told", error=f"{type(error).__name__}: {error}")


_by_loop: dict[asyncio.AbstractEventLoop, Visitors] = {}


def visitors() -> Visitors:
    """Return the visitors of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _by_loop:
        for ended in [other for other in _by_loop if other.is_closed()]:
            del _by_loop[ended]
        _by_loop[loop] = Visitors()
    return _by_loop[loop]
