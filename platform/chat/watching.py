"""Looks after the open rooms of a process, every two seconds for all of them together.

- Whoever logged out, was banned, lost a role or may not enter any more is shown out.
- Whom a push hasn't reached is told the room's last number, and fetches what is missing: no push is relied upon.
- Who is there is renewed, and told where it has changed; so is what one may do.
- Who doesn't read what is sent is cut off.

How many queries that takes doesn't depend on how many sockets there are.
"""

import asyncio
import contextvars
import time
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

import orjson
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts.models import User
from accounts.places import renew_when_due
from accounts.sockets import NOT_FOUND, NOT_LOGGED_IN, NOT_PERMITTED, in_database
from chat import metrics, presence, showing
from chat.models import Role
from chat.queries import accesses_to
from chat.rules import Access
from telemetry.logs import get_logger
from telemetry.tracing.work import unobserved

log = get_logger(__name__)

TICK_SECONDS = 2.0
SLOW_SECONDS = 10.0  # nobody takes so long to read one frame
MOST_NAMES = 100  # of those who are there
_RANKS = {"": 0, Role.MEMBER: 1, Role.MODERATOR: 2, Role.OWNER: 3}
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="chat-watch")


class Socket(Protocol):
    """What is watched."""

    access: Access
    session_key: str | None  # None where there's no session to end
    told_sequence: int  # the last number that it has been told of
    told_here: str  # the last that it was told of who is there
    sending_since: float | None

    async def tell(self, text: str) -> None: ...
    def show_out(self, code: int, reason: str, why: str) -> Coroutine[None, None, None]: ...
    def cut_off(self) -> None: ...


@dataclass(frozen=True)
class _Look:
    """What the database and Redis say."""

    accesses: dict[tuple[int, int], Access]
    sessions: set[str]
    here: dict[int, str] = field(default_factory=dict)  # room id → what its sockets are told


class Watch:
    """The open rooms of one event loop."""

    def __init__(self) -> None:
        self._sockets: set[Socket] = set()
        self._running: asyncio.Task[None] | None = None
        self._last: dict[int, int] = {}  # room id → its last number, a tick ago
        self._was_here: set[tuple[int, int]] = set()  # room and person, as Redis was told
        self._names: dict[int, str] = {}
        self._visits: set[asyncio.Task[None]] = set()  # those that wait for somebody to read

    def join(self, socket: Socket) -> None:
        """Look after a socket from now on."""
        self._sockets.add(socket)
        if self._running is None:
            # In a context of its own: it isn't part of the first socket's handshake.
            self._running = asyncio.create_task(self._run(), context=contextvars.Context())

    def leave(self, socket: Socket) -> None:
        """Forget a socket; one that isn't known is no matter."""
        self._sockets.discard(socket)

    async def _run(self) -> None:
        while self._sockets or self._was_here:
            begun = time.monotonic()
            try:
                with unobserved():  # a span for each look would be all that there is to see
                    await self.tick()
            except Exception:
                log.exception("chat.watching_failed")
            await asyncio.sleep(max(TICK_SECONDS / 2, TICK_SECONDS - (time.monotonic() - begun)))
        self._running = None
        _by_loop.pop(asyncio.get_running_loop(), None)

    async def tick(self) -> None:
        """Look once."""
        self._cut_off_slow()
        renew_when_due()
        self._visits = {visit for visit in self._visits if not visit.done()}
        sockets = [socket for socket in self._sockets if socket.sending_since is None]
        mine = {(socket.access.room.pk, socket.access.user.pk) for socket in self._sockets}
        keys = {socket.session_key for socket in sockets if socket.session_key}
        gone = self._was_here - mine
        look = await in_database(self._look, mine, keys, gone, executor=_THREAD)
        self._was_here = mine
        known, self._last = self._last, {access.room.pk: access.room.last_sequence for access in look.accesses.values()}
        visits = []
        for socket in sockets:
            if (visit := self._seen(socket, look, known)) is not None:
                visits.append(asyncio.create_task(_finish(visit)))
        if visits:
            # Side by side, and not waited for: one that reads slowly holds up nobody else, and is cut off next time.
            self._visits |= (await asyncio.wait(visits, timeout=TICK_SECONDS))[1]

    def _cut_off_slow(self) -> None:
        now = time.monotonic()
        for socket in list(self._sockets):
            if socket.sending_since is not None and now - socket.sending_since > SLOW_SECONDS:
                metrics.CLOSED.labels("slow").inc()
                log.info("chat.slow_socket_cut_off", room=socket.access.room.slug, user_id=socket.access.user.pk)
                socket.cut_off()

    def _look(self, mine: set[tuple[int, int]], keys: set[str], gone: set[tuple[int, int]]) -> _Look:
        accesses = accesses_to((user_id, room_id) for room_id, user_id in mine)
        alive = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
        sessions = set(alive.values_list("session_key", flat=True)) if keys else set()
        people: dict[int, set[int]] = {}
        for room_id, user_id in mine:
            people.setdefault(room_id, set()).add(user_id)
        here = presence.renew(people, gone)
        return _Look(accesses, sessions, self._told_of(here) if here is not None else {})

    def _told_of(self, here: presence.Here) -> dict[int, str]:
        shown = {room_id: sorted(people)[:MOST_NAMES] for room_id, people in here.items()}
        wanted = {user_id for people in shown.values() for user_id in people}
        if new := wanted - self._names.keys():
            self._names |= {user.pk: user.name for user in User.objects.filter(pk__in=new)}
        for known in self._names.keys() - wanted:
            del self._names[known]
        metrics.PRESENT.set(sum(len(people) for people in here.values()))
        return {
            room_id: orjson.dumps(
                {
                    "type": "presence",
                    "here": [{"id": pk, "name": self._names[pk]} for pk in shown[room_id] if pk in self._names],
                    "count": len(people),
                }
            ).decode()
            for room_id, people in here.items()
        }

    def _seen(self, socket: Socket, look: _Look, known: dict[int, int]) -> Coroutine[None, None, None] | None:
        """Return what is to be done about a socket; None, as a rule."""
        before = socket.access
        now = look.accesses.get((before.user.pk, before.room.pk))
        is_logged_out = socket.session_key is not None and socket.session_key not in look.sessions
        if is_logged_out or (now is not None and now.user.password != before.user.password):
            return socket.show_out(NOT_LOGGED_IN, "You are logged out.", "logged_out")
        if now is None or not now.can_enter:
            return socket.show_out(NOT_FOUND, "There is no such room.", "no_access")
        if _has_lost(before, now):
            return socket.show_out(NOT_PERMITTED, "Your role here has changed. Load the page again.", "role_lost")
        socket.access = replace(now, user=before.user)  # which knows its permissions already
        texts = self._untold(socket, look, known)
        if (you := showing.you(now)) != showing.you(before):  # muted, or not any more
            texts.append(orjson.dumps({"type": "you", "you": you}).decode())
        return _tell(socket, texts) if texts else None

    def _untold(self, socket: Socket, look: _Look, known: dict[int, int]) -> list[str]:
        room = socket.access.room
        texts = []
        # What was there a tick ago had the time of a tick to be pushed.
        if socket.told_sequence < min(known.get(room.pk, 0), room.last_sequence):
            socket.told_sequence = room.last_sequence
            metrics.BEHIND.inc()
            texts.append(orjson.dumps({"type": "sequence", "last_sequence": room.last_sequence}).decode())
        here = look.here.get(room.pk, "")
        if here and here != socket.told_here:
            socket.told_here = here
            texts.append(here)
        return texts


async def _tell(socket: Socket, texts: list[str]) -> None:
    for text in texts:
        await socket.tell(text)


async def _finish(visit: Coroutine[None, None, None]) -> None:
    try:
        await visit
    except Exception as error:  # it left meanwhile
        log.info("chat.visit_failed", error=f"{type(error).__name__}: {error}")


def _has_lost(before: Access, now: Access) -> bool:
    return (before.can_moderate and not now.can_moderate) or _RANKS[now.role] < _RANKS[before.role]


_by_loop: dict[asyncio.AbstractEventLoop, Watch] = {}


def watch() -> Watch:
    """Return the watch of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _by_loop:
        for ended in [other for other in _by_loop if other.is_closed()]:
            del _by_loop[ended]
        _by_loop[loop] = Watch()
    return _by_loop[loop]


def open_sockets() -> Iterable[Socket]:
    """Return the running loop's sockets, for whoever looks from outside."""
    return frozenset(watch()._sockets)
