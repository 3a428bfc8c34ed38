"""The socket of the pages of tasks: what it shows to whom, that it sends only what differs, and when it ends."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.db import OperationalError, connections
from django.test import Client

from accounts.models import User
from audit.errors import SearchTooLongError
from audit.models import Event
from tasks import consumers
from tasks.models import Outcome, TaskRun
from tests.notifications.client import BrowserClient
from tests.tasks.making import make_dead, make_run, make_running

pytestmark = pytest.mark.django_db(transaction=True)


class PageClient(BrowserClient):
    """Speaks with the socket as a browser does."""

    path = "/ws/tasks/"

    async def closed(self) -> tuple[int, str]:
        """Return the code and reason with which the socket is closed, after what it may still say."""
        while (event := await self.receive_event())["type"] != "websocket.close":
            pass
        return event["code"], event["reason"]

    async def rows(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the runs of the next frame, which is of this kind, by their names or ids."""
        frame = await self.receive()
        assert frame["type"] == kind, frame
        return {run.get("name", run["id"]): run for run in frame["runs"]}


Open = Callable[..., Awaitable[PageClient]]


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(consumers, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(consumers, "PAUSED_SECONDS", 0.05)
    monkeypatch.setattr(consumers, "_SHARE", 1)


@pytest.fixture
def reader(transactional_db: None) -> User:
    return User.objects.create_user("reader", password="right-horse-9")


@pytest.fixture
def operator(transactional_db: None) -> User:
    user = User.objects.create_user("operator", password="right-horse-9")
    user.groups.add(Group.objects.get(name="operator"))
    return user


@pytest.fixture
async def watch(transactional_db: None) -> AsyncIterator[Open]:
    """Return a function that opens the socket as a person; None is a stranger."""
    opened: list[PageClient] = []

    @database_sync_to_async
    def browser_of(user: User | None) -> Client:
        client = Client()
        if user:
            client.force_login(user)
        return client

    async def open_one(user: User | None, **asked: Any) -> PageClient:
        socket = PageClient(await browser_of(user), urlencode(asked))
        opened.append(socket)
        await socket.connect()
        return socket

    yield open_one
    for one in opened:
        await one.disconnect()
    await database_sync_to_async(connections.close_all)()


def in_thread(function: Callable[..., Any], *args: Any, **fields: Any) -> Awaitable[Any]:
    done: Awaitable[Any] = database_sync_to_async(function)(*args, **fields)
    return done


def update(run: TaskRun, **fields: Any) -> Awaitable[Any]:
    return in_thread(TaskRun.objects.filter(id=run.id).update, **fields)


# --- what it shows ---------------------------------------------------------------------------------------------------


async def test_the_page_comes_first_and_then_what_differs_alone(watch: Open, operator: User) -> None:
    old = await in_thread(make_running, name="tests.old")
    socket = await watch(operator)
    assert (await socket.rows("ready"))["tests.old"]["state"] == "running"
    await update(old, progress_done=3, progress_total=9, progress_note="halfway")
    changes = await socket.receive()
    told = {"id": str(old.id), "progress": {"done": 3, "total": 9, "note": "halfway"}}
    assert changes == {"type": "changes", "runs": [told], "gone": []}
    new = await in_thread(make_run, name="tests.new", outcome="")
    added = (await socket.rows("changes"))["tests.new"]
    assert (added["id"], added["state_label"]) == (str(new.id), "Queued")
    assert await socket.receive_nothing()


async def test_a_filter_lets_in_what_comes_to_match_and_out_what_matches_no_more(watch: Open, operator: User) -> None:
    run = await in_thread(make_running, name="tests.run")
    await in_thread(make_run, name="tests.done")
    socket = await watch(operator, state="running", queue="default")
    assert list(await socket.rows("ready")) == ["tests.run"]
    await update(run, outcome=Outcome.SUCCEEDED, lease_expires_at=None)
    assert await socket.receive() == {"type": "changes", "runs": [], "gone": [str(run.id)]}
    await in_thread(make_running, name="tests.next")
    assert list(await socket.rows("changes")) == ["tests.next"]


async def test_the_socket_of_one_run_tells_of_its_attempts_and_progress(watch: Open, reader: User) -> None:
    run = await in_thread(make_running, reader)
    socket = await watch(reader, run=run.id)
    shown = (await socket.rows("ready"))["tests.note"]
    assert [one["number"] for one in shown["tries"]] == [1]
    await update(run, progress_done=7)
    assert (await socket.rows("changes"))[str(run.id)]["progress"] == {"done": 7, "total": 0, "note": ""}


async def test_a_row_holds_neither_arguments_nor_result_nor_message(watch: Open, operator: User) -> None:
    await in_thread(make_dead, arguments={"args": ["alice@example.org"], "kwargs": {}}, result={"secret": 1})
    frame = json.dumps(await (await watch(operator)).receive())
    assert "alice" not in frame
    assert "secret" not in frame


# --- who sees it -----------------------------------------------------------------------------------------------------


async def test_people_see_their_own_runs_alone(watch: Open, reader: User, operator: User) -> None:
    socket = await watch(reader)
    assert await socket.rows("ready") == {}
    await in_thread(make_run, operator, name="tests.other")
    assert await socket.receive_nothing()
    await in_thread(make_run, reader, name="tests.mine")
    assert list(await socket.rows("changes")) == ["tests.mine"]


async def test_a_stranger_is_refused(watch: Open) -> None:
    assert (await (await watch(None)).closed())[0] == 4401


async def test_another_persons_run_is_not_found_and_the_denial_recorded(
    watch: Open, reader: User, operator: User
) -> None:
    run = await in_thread(make_run, operator)
    assert (await (await watch(reader, run=run.id)).closed())[0] == 4404
    assert (await (await watch(reader, run="7")).closed())[0] == 4404
    denial = await Event.objects.aget(action="tasks.taskrun.viewed")
    assert (denial.outcome, denial.object_id, denial.actor_label) == ("denied", str(run.id), "reader")


async def test_a_lost_role_ends_it(watch: Open, operator: User) -> None:
    socket = await watch(operator)
    await socket.receive()
    await in_thread(operator.groups.clear)
    await in_thread(make_run, name="tests.secret")
    code, reason = await socket.closed()
    assert (code, reason) == (4403, "What you may see has changed. Load the page again.")


@pytest.mark.parametrize("is_paused", [False, True])
async def test_a_logout_ends_it_also_while_paused(watch: Open, operator: User, is_paused: bool) -> None:
    socket = await watch(operator)
    await socket.receive()
    if is_paused:
        await socket.send({"type": "pause"})
    await in_thread(Session.objects.all().delete)
    assert (await socket.closed())[0] == 4401


# --- bounds ----------------------------------------------------------------------------------------------------------


async def test_a_paused_page_is_not_read_and_catches_up_afterwards(
    watch: Open, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    page = consumers.run_page
    socket = await watch(operator)
    await socket.receive()
    await socket.send({"type": "pause"})
    assert await socket.receive_nothing()  # whatever was under way is over
    monkeypatch.setattr(consumers, "run_page", lambda *args, **kwargs: (read.append(args), page(*args, **kwargs))[1])
    await in_thread(make_run, name="tests.meanwhile")
    assert await socket.receive_nothing()
    assert read == []
    await socket.send({"type": "resume"})
    assert list(await socket.rows("changes")) == ["tests.meanwhile"]


async def test_a_list_that_takes_too_long_is_not_followed(
    watch: Open, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_too_long(*args: Any, **kwargs: Any) -> None:
        raise SearchTooLongError

    with monkeypatch.context() as slow:
        slow.setattr(consumers, "run_page", take_too_long)
        socket = await watch(operator, error="x")
        stopped = await socket.receive()
        assert (stopped["type"], "too long" in stopped["detail"]) == ("stopped", True)
        assert await socket.receive_nothing()
    await socket.send({"type": "resume"})
    assert (await socket.receive())["type"] == "ready"


async def test_a_database_that_is_away_is_told_once_and_asked_again(
    watch: Open, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError

    socket = await watch(operator)
    await socket.receive()
    with monkeypatch.context() as away:
        away.setattr(consumers, "run_page", be_away)
        assert (await socket.receive()) == {"type": "waiting"}
        assert await socket.receive_nothing()
    await in_thread(make_run, name="tests.back")
    assert list(await socket.rows("changes")) == ["tests.back"]


@pytest.mark.parametrize(
    ("asked", "field"), [({"state": "lost"}, "state"), ({"since": "yesterdayish"}, "since"), ({"name": "\0"}, "name")]
)
async def test_a_wrong_filter_is_named(watch: Open, operator: User, asked: dict[str, str], field: str) -> None:
    socket = await watch(operator, **asked)
    error = await socket.receive()
    assert (error["type"], list(error["errors"]), len(error["request_id"])) == ("error", [field], 32)
    assert (await socket.closed())[0] == 1008


async def test_a_wrong_place_is_told(watch: Open, operator: User) -> None:
    socket = await watch(operator, before="yesterday_1")
    assert (await socket.receive())["title"] == "The place is wrong."
    assert (await socket.closed())[0] == 1008
