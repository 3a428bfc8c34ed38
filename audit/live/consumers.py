"""The socket of the ledger's tail, `/ws/audit/`. It needs Channels, and nothing else of `audit` imports it."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import connections

from audit import recording, values
from audit.errors import CursorError, FilterError, NotLoggedInError, SearchTooLongError, TooManyTailsError
from audit.live import readers, tail
from audit.live.tail import Batch
from audit.reading import cursors, filters, showing
from audit.reading.access import NOTHING, Access, access_of
from audit.reading.cursors import Cursor
from audit.reading.filters import Search
from telemetry import context
from telemetry.channels import TracedConsumer
from telemetry.logs import get_logger

T = TypeVar("T")
log = get_logger("audit")

NORMAL = 1000
POLICY_VIOLATION = 1008
TOO_BIG = 1009
FAILED = 1011
TRY_LATER = 1013
NOT_LOGGED_IN = 4401
NOT_PERMITTED = 4403

LONGEST_FRAME = 1_000
_MOST_FRAMES, _WITHIN_SECONDS = 20, 2.0
_MOST_PARAMETERS = 100
_IDLE_SECONDS = 15.0
# Together these are the longest that a tail outlives its reader's permission.
_CHECK_SECONDS, _CHECK_WITHIN_SECONDS = 2.0, 2.0

# Threads of their own, and few: a slow search keeps neither other sockets waiting nor all of a pool's connections.
_READERS = ThreadPoolExecutor(4, thread_name_prefix="audit-tail")


class _ClosingError(Exception):
    """The socket is to be closed, after a last frame where there's one."""

    def __init__(self, code: int, reason: str, frame: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.frame = frame


@dataclass(frozen=True, slots=True)
class _View:
    """What the reader may see at this moment, and the search within that."""

    access: Access
    search: Search


class TailConsumer(TracedConsumer, AsyncWebsocketConsumer):  # type: ignore[misc]
    """Shows what comes to the ledger, as it's committed; its query has the search's filters, and maybe a `cursor`.

    To the client: `ready` (cursor, filters), `events` (events, cursor), `idle` (cursor), `waiting` (cursor: the
    database is away), `resync` (the cursor is of another database: begin anew without one), `error`.
    From the client: `pause`, `resume`.
    """

    channel_layer_alias = ""  # nothing comes through one, so a tail needs none

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._asked: dict[str, str] = {}
        self._opened: Search | None = None  # as it was recorded
        self._view: _View | None = None  # None as well while nobody can tell what the reader may see
        self._cursor = Cursor()
        self._place = ""
        self._event_count = 0
        self._is_paused = False
        self._is_closed = False
        self._end_reason = "The client left."
        self._told_at = time.monotonic()
        self._frame_times: deque[float] = deque(maxlen=_MOST_FRAMES)
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one socket; however it ends, the tail ends with it, and its end is recorded."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._running:
                self._running.cancel()
                await asyncio.gather(self._running, return_exceptions=True)
            if self._opened:
                await _in_database(self._leave)

    async def connect(self) -> None:
        """Accept the handshake, since a browser learns a close code only after it; then begin, or say why not."""
        await self.accept()
        try:
            await _in_database(self._open)
        except _ClosingError as end:
            await self._close(end)
        except tail.UNAVAILABLE:
            detail = "This can't be read, or the reading not recorded, at the moment. Try again in a few seconds."
            await self._close(_ClosingError(TRY_LATER, "Try again later.", _problem("Unavailable", detail)))
        else:
            await self._tell({"type": "ready", "cursor": str(self._cursor), "filters": self._asked})
            self._running = asyncio.create_task(self._run())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Obey `pause` and `resume`, or answer with an error."""
        if self._is_closed:
            return
        now = time.monotonic()
        if len(self._frame_times) == _MOST_FRAMES and now - self._frame_times[0] < _WITHIN_SECONDS:
            detail = f"At most {_MOST_FRAMES} in {_WITHIN_SECONDS:.0f} seconds; reconnect."
            await self._close(_ClosingError(POLICY_VIOLATION, "Too many frames.", _problem("Too many frames", detail)))
            return
        self._frame_times.append(now)
        if len(text_data if text_data is not None else bytes_data or b"") > LONGEST_FRAME:
            await self._close(_ClosingError(TOO_BIG, "The frame is too big."))
            return
        try:
            kind = json.loads(text_data or "")["type"]
        except (ValueError, TypeError, KeyError, RecursionError):
            kind = None
        if kind not in ("pause", "resume"):
            await self._tell(_problem("Unknown type", 'This socket takes {"type": "pause"} and {"type": "resume"}.'))
            return
        self._is_paused = kind == "pause"

    # --- beginning and end -------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Find out what is asked and whether it may be; nothing is shown before that is recorded."""
        access = self._access(is_recorded=True)
        try:
            self._asked, cursor_text = _asked(self.scope.get("query_string", b""))
            cursor = cursors.parse(cursor_text) if cursor_text else None
        except CursorError as error:
            raise _ClosingError(POLICY_VIOLATION, "The cursor is wrong.", _invalid({"cursor": [str(error)]})) from error
        except FilterError as error:
            raise _ClosingError(POLICY_VIOLATION, "The query is wrong.", _invalid(error.problems)) from error
        view = self._view_of(access)
        try:
            self._cursor = tail.begin(cursor)
        except CursorError as error:
            raise _resync() from error
        try:
            self._place = readers.take_place(self.scope["user"].pk)
        except TooManyTailsError as error:
            raise _ClosingError(POLICY_VIOLATION, "Too many tails.", _problem("Too many tails", str(error))) from error
        try:
            tail.record_opened(view.search, is_resumed=cursor is not None)
        except BaseException:
            readers.leave_place(self._place)
            raise
        self._view, self._opened = view, view.search

    def _leave(self) -> None:
        readers.leave_place(self._place)
        assert self._opened  # noqa: S101
        try:
            tail.record_closed(self._opened, self._event_count, end=self._end_reason)
        except tail.UNAVAILABLE as error:
            log.error("audit.tail_end_not_recorded", error=type(error).__name__, events=self._event_count)

    def _access(self, *, is_recorded: bool = False) -> Access:
        """Return what the reader may see, from the database alone."""
        try:
            user = readers.user_of(self.scope)
        except NotLoggedInError as error:
            raise _ClosingError(NOT_LOGGED_IN, "Log in first.") from error
        access = access_of(user) if user else NOTHING
        if not access.is_any:
            if is_recorded:
                recording.record("audit.ledger.read_denied", outcome="denied")
            raise _ClosingError(NOT_PERMITTED, "Reading the ledger needs the permission audit.view_event.")
        return access

    def _view_of(self, access: Access) -> _View:
        try:
            return _View(access, filters.parse(self._asked, access))
        except FilterError as error:
            raise _ClosingError(POLICY_VIOLATION, "A filter is wrong.", _invalid(error.problems)) from error

    # --- the tail ----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        end = _ClosingError(NORMAL, "The client left.")
        try:
            async with asyncio.TaskGroup() as together:
                together.create_task(self._follow())
                together.create_task(self._watch())
                together.create_task(self._keep_place())
        except* _ClosingError as ended:
            end = next(one for one in ended.exceptions if isinstance(one, _ClosingError))
        except* OSError:
            pass  # the client went while something was sent
        except* Exception:
            log.exception("audit.tail_failed")
            end = _ClosingError(FAILED, "Something went wrong here.")
        await self._close(end)

    async def _follow(self) -> None:
        failures = 0
        while True:
            is_last = True
            if not self._is_paused:
                batch = await self._read()
                if batch is None:
                    failures += 1
                    if failures == 1:
                        await self._tell({"type": "waiting", "cursor": str(self._cursor)})
                else:
                    failures, is_last = 0, batch.is_last
            if time.monotonic() - self._told_at >= _IDLE_SECONDS:
                await self._tell({"type": "waiting" if failures else "idle", "cursor": str(self._cursor)})
            if is_last:
                await asyncio.sleep(tail.pause_seconds(failures))

    async def _read(self) -> Batch | None:
        """Show the next batch and return it; None where the database is away."""
        view = self._view
        if view is None:
            return None
        try:
            batch, frame = await _in_database(_read_as, view, self._cursor, executor=_READERS)
        except tail.UNAVAILABLE:
            return None
        except CursorError as error:
            raise _resync() from error
        except SearchTooLongError as error:
            raise _ClosingError(
                POLICY_VIOLATION, "The search takes too long.", _invalid({"since": [str(error)]})
            ) from error
        if view is self._view and not self._is_paused:  # else it's read again, as what the reader may see now
            self._cursor = batch.cursor
            self._event_count += len(batch.events)
            if batch.events:
                await self._tell_text(frame)
        return batch

    async def _watch(self) -> None:
        """End the tail of a reader who may not read any more, even while a search or the client is slow."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            try:
                async with asyncio.timeout(_CHECK_WITHIN_SECONDS):
                    access = await _in_database(self._access)
            except (*tail.UNAVAILABLE, TimeoutError):
                self._view = None  # what nobody can check isn't shown
                continue
            if self._view is None or access != self._view.access:
                self._view = self._view_of(access)

    async def _keep_place(self) -> None:
        while True:
            await asyncio.sleep(readers.PLACE_KEPT_SECONDS / 3)
            await _in_database(readers.keep_place, self._place)

    # --- frames ------------------------------------------------------------------------------------------------------

    async def _tell(self, frame: dict[str, Any]) -> None:
        await self._tell_text(values.dumps(frame).decode())

    async def _tell_text(self, text: str) -> None:
        if not self._is_closed:
            await self.send(text_data=text)  # returns once the client has room for it: nothing queues up here
            self._told_at = time.monotonic()

    async def _close(self, end: _ClosingError) -> None:
        if self._is_closed:
            return
        self._is_closed, self._end_reason = True, end.reason
        if self._running and self._running is not asyncio.current_task():
            self._running.cancel()
        if end.frame:
            await self.send(text_data=values.dumps(end.frame).decode())
        await self.close(end.code, end.reason)


async def _in_database(function: Callable[..., T], *args: Any, executor: Executor | None = None) -> T:
    """Run `function` in a thread that holds no connection afterwards, whatever `CONN_MAX_AGE` says."""

    def run() -> T:
        try:
            return function(*args)
        finally:
            connections["default"].close()

    result: T = await database_sync_to_async(run, thread_sensitive=False, executor=executor)()
    return result


def _read_as(view: _View, cursor: Cursor) -> tuple[Batch, str]:
    """Return the next batch, and its frame."""
    batch = tail.read(view.search, cursor)
    events = [showing.as_dict(event, view.access) for event in batch.events]
    return batch, values.dumps({"type": "events", "events": events, "cursor": str(batch.cursor)}).decode()


def _asked(query: bytes) -> tuple[dict[str, str], str]:
    """Return the filters and the cursor that a query has.

    Raises:
        FilterError: something is given more than once, or far too much is given.
    """
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise FilterError({"query": [f"At most {_MOST_PARAMETERS} parameters."]}) from error
    asked = dict(pairs)
    if len(asked) < len(pairs):
        names = [name for name, _ in pairs]
        raise FilterError({name: ["This was given more than once."] for name in asked if names.count(name) > 1})
    cursor = asked.pop("cursor", "")
    return {name: text for name, text in asked.items() if text.strip()}, cursor


def _problem(title: str, detail: str, errors: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """Return an error in the manner of the API's problem details."""
    error = {"type": "error", "title": title, "detail": detail, "request_id": context.current().request_id}
    return {**error, "errors": errors} if errors else error


def _invalid(errors: dict[str, list[str]]) -> dict[str, Any]:
    return _problem("Bad request", "Some of what was sent isn't valid; see errors.", errors)


def _resync() -> _ClosingError:
    return _ClosingError(NORMAL, "Begin anew without a cursor.", {"type": "resync"})
