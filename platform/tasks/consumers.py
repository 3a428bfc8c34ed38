"""The socket of the pages of tasks, `/ws/tasks/`.

No task tells it anything: it asks the database what its page shows, about once a second, and sends what differs. So
what it costs depends on how many people watch, not on how many tasks run.
"""

import asyncio
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from django.db import InterfaceError, OperationalError

from accounts.models import User
from accounts.sockets import (
    FAILED,
    NORMAL,
    NOT_FOUND,
    NOT_LOGGED_IN,
    NOT_PERMITTED,
    POLICY_VIOLATION,
    TRY_LATER,
    Handler,
    JsonSocket,
    in_database,
)
from audit.errors import NotLoggedInError, SearchTooLongError
from audit.live.readers import user_of
from tasks import filters, queries, showing
from tasks.errors import FilterError, KeyFormError
from tasks.listing import Place, run_page
from tasks.rules import can_see_all_runs
from telemetry import context
from telemetry.logs import get_logger
from telemetry.tracing.work import unobserved

log = get_logger(__name__)

POLL_SECONDS = 1.0
# So long at the most a page outlives its reader's login or role.
CHECK_SECONDS = 3.0
# While a page is hidden nothing is read, only whether its reader may still be here.
PAUSED_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 20.0
_SHARE = 9  # of its time, a socket keeps the database busy for a tenth at most
_READ_SECONDS = 1
_MOST_PARAMETERS = 20
_UNAVAILABLE = (OperationalError, InterfaceError)
# Few, and their own: however many watch, so many ask at once.
_READERS = ThreadPoolExecutor(4, thread_name_prefix="tasks-watch")

Rows: TypeAlias = dict[str, dict[str, Any]]


class _ClosingError(Exception):
    """The socket is to be closed, after a last frame where there's one."""

    def __init__(self, code: int, reason: str, frame: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.frame = frame


class TaskConsumer(JsonSocket):
    """Follows a page of the list, by the page's own query; or with `run=<id>` one run.

    To the client: `ready` (runs, as they are), `changes` (runs: each with its id and what differs, or whole where it's
    new; gone: ids that the page doesn't show any more), `waiting` (the database is away), `stopped` (detail: it takes
    too long; `resume` tries again), `error`. From the client: `pause`, `resume`.
    """

    channel_layer_alias = ""  # nothing comes through one

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._narrowing = filters.EVERYTHING
        self._place = Place()
        self._run_id: uuid.UUID | None = None
        self._sees_all: bool | None = None
        self._known: User | None = None  # who watches, as of `_known_at`
        self._known_at = 0.0
        self._shown: Rows | None = None
        self._is_wanted = asyncio.Event()
        self._is_wanted.set()
        self._is_closed = False
        self._failures = 0
        self._following: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one socket; however it ends, the asking ends with it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._following:
                self._following.cancel()
                await asyncio.gather(self._following, return_exceptions=True)

    def handlers(self) -> dict[str, Handler]:
        return {"pause": self._pause, "resume": self._resume}

    async def connect(self) -> None:
        """Accept the handshake, since a browser learns a close code only after it; then begin, or say why not."""
        await self.accept()
        try:
            await in_database(self._open, executor=_READERS)
        except _ClosingError as end:
            await self._end(end)
        except _UNAVAILABLE:
            await self._end(_ClosingError(TRY_LATER, "The database is away. Try again later."))
        else:
            self._following = asyncio.create_task(self._follow())

    # --- what is asked, and by whom ----------------------------------------------------------------------------------

    def _open(self) -> None:
        """Find out what is to be followed, and whether it may be."""
        user = self._user()
        asked = _asked(self.scope.get("query_string", b""))
        try:
            self._narrowing = filters.parse(asked)
        except FilterError as error:
            raise _refusal("A filter is wrong.", str(error), error.problems) from error
        self._place = Place(asked.get("before", ""), asked.get("after", ""))
        if wanted := asked.get("run"):
            self._run_id = _run_id(wanted)
            if queries.run_visible_to(user, self._run_id) is None:  # which the ledger is told, where it's another's
                raise _ClosingError(NOT_FOUND, "There is no such task, or it isn't yours to see.")

    def _user(self) -> User:
        """Return who watches, every few seconds anew from the database."""
        if self._known and time.monotonic() - self._known_at < CHECK_SECONDS:
            return self._known
        asked_at = time.monotonic()
        try:
            user: User | None = user_of(self.scope)
        except NotLoggedInError as error:
            raise _ClosingError(NOT_LOGGED_IN, "Log in first.") from error
        if user is None:
            raise _ClosingError(NOT_LOGGED_IN, "This account is closed.")
        sees_all = can_see_all_runs(user)
        if self._sees_all not in (None, sees_all):
            raise _ClosingError(NOT_PERMITTED, "What you may see has changed. Load the page again.")
        self._sees_all, self._known, self._known_at = sees_all, user, asked_at
        return user

    def _read(self) -> Rows | None:
        """Return what the page shows now; None where nobody looks at it."""
        user = self._user()
        if not self._is_wanted.is_set():
            return None
        if self._run_id:
            one = queries.runs_visible_to(user).filter(id=self._run_id).prefetch_related("past_tries")
            return {str(run.pk): showing.as_whole(run) for run in one}
        try:
            page = run_page(user, self._narrowing, self._place, seconds=_READ_SECONDS)
        except KeyFormError as error:
            raise _refusal("The place is wrong.", str(error), {}) from error
        return {str(run.pk): showing.as_row(run) for run in page.runs}

    # --- asking and telling ------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        end = _ClosingError(NORMAL, "The client left.")
        try:
            with unobserved():  # a span for each question would be all that there is to see
                while True:
                    begun = time.monotonic()
                    await self._ask()
                    await self._rest(time.monotonic() - begun)
        except _ClosingError as ended:
            end = ended
        except OSError:
            pass  # the client went while something was sent
        except Exception:
            log.exception("tasks.watching_failed")
            end = _ClosingError(FAILED, "Something went wrong here.")
        await self._end(end)

    async def _ask(self) -> None:
        try:
            rows = await in_database(self._read, executor=_READERS)
        except SearchTooLongError:
            self._is_wanted.clear()
            detail = "This list takes too long to be followed. Narrow it, or load the page again."
            await self.send_json({"type": "stopped", "detail": detail})
            return
        except _UNAVAILABLE:
            self._failures += 1
            if self._failures == 1:
                await self.send_json({"type": "waiting"})
            return
        self._failures = 0
        if rows is None or not self._is_wanted.is_set():
            return
        if self._shown is None:
            await self.send_json({"type": "ready", "runs": list(rows.values())})
        elif changes := _difference(self._shown, rows):
            await self.send_json({"type": "changes", **changes})
        self._shown = rows

    async def _rest(self, spent_seconds: float) -> None:
        if not self._is_wanted.is_set():
            try:
                await asyncio.wait_for(self._is_wanted.wait(), PAUSED_SECONDS)
            except TimeoutError:
                return
        pause = max(POLL_SECONDS, spent_seconds * _SHARE, POLL_SECONDS * 2**self._failures if self._failures else 0)
        await asyncio.sleep(min(pause, _LONGEST_PAUSE_SECONDS))

    async def _pause(self, frame: dict[str, Any]) -> None:
        self._is_wanted.clear()

    async def _resume(self, frame: dict[str, Any]) -> None:
        self._is_wanted.set()

    async def _end(self, end: _ClosingError) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if end.frame:
            await self.send_json(end.frame)
        await self.close(end.code, end.reason)


def _difference(before: Rows, now: Rows) -> dict[str, Any]:
    """Return what turns one page into the other; empty where they are the same."""
    runs = []
    for run_id, row in now.items():
        known = before.get(run_id, {})
        changed = {name: value for name, value in row.items() if name not in known or known[name] != value}
        if changed:
            runs.append({"id": run_id, **changed})
    gone = [run_id for run_id in before if run_id not in now]
    return {"runs": runs, "gone": gone} if runs or gone else {}


def _asked(query: bytes) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(query.decode("latin-1"), max_num_fields=_MOST_PARAMETERS))
    except ValueError as error:
        raise _refusal("The query is too long.", f"At most {_MOST_PARAMETERS} parameters.", {}) from error


def _run_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise _ClosingError(NOT_FOUND, "That is no id of a task.") from error


def _refusal(title: str, detail: str, errors: dict[str, list[str]]) -> _ClosingError:
    """Return an end in the manner of the API's problem details."""
    frame: dict[str, Any] = {"type": "error", "title": title, "detail": detail}
    frame["request_id"] = context.current().request_id
    return _ClosingError(POLICY_VIOLATION, title, {**frame, "errors": errors} if errors else frame)
