"""Maintenance mode: who is turned away, who passes, how it ends, and what is told of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, Group
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, Client
from django.urls import path

from accounts.actions import create_token
from accounts.models import User
from audit.models import Event
from config.maintenance import MaintenanceMiddleware
from notifications.consumers import NotificationConsumer
from ops.maintenance import actions, queries, sockets
from ops.maintenance.errors import MaintenanceError
from ops.models import Maintenance
from telemetry.channels import HandshakeMiddleware
from tests.notifications.client import SocketClient

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def staff() -> User:
    return User.objects.create_user("stella", password="right-horse-9", is_staff=True)


@pytest.fixture
def reader() -> User:
    return User.objects.create_user("robin", password="right-horse-9")


def begin(message: str = "", **span: float) -> queries.Window:
    ends_at = datetime.now(UTC) + timedelta(**span) if span else None
    return actions.begin_maintenance(actor=None, message=message, ends_at=ends_at)


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def bearer(user: User, *scopes: str) -> dict[str, str]:
    _, text = create_token(user, actor=None, scopes=scopes)
    return {"Authorization": f"Bearer {text}"}


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("maintenance", *arguments, stdout=out)
    return out.getvalue()


# --- requests --------------------------------------------------------------------------------------------------------


def test_a_stranger_gets_a_calm_page_and_when_to_come_again() -> None:
    begin("We move <b>house</b>.", minutes=30)
    response = Client().get("/blog/")
    assert response.status_code == 503
    assert 1_500 <= int(response.headers["Retry-After"]) <= 1_800
    assert response.headers["Cache-Control"] == "no-store"
    assert "Content-Security-Policy" in response.headers
    page = response.content.decode()
    assert "We move &lt;b&gt;house&lt;/b&gt;." in page
    assert "We expect to be back by" in page
    assert response.headers["X-Request-ID"] in page


def test_a_program_gets_problem_details() -> None:
    begin("We move house.")
    response = Client().get("/api/blog/posts/")
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Retry-After"] == "300"
    problem = response.json()
    assert problem["detail"] == "The platform is closed for maintenance. We move house."
    assert (problem["status"], problem["instance"]) == (503, "/api/blog/posts/")
    assert problem["request_id"] == response.headers["X-Request-ID"]


def test_writes_are_turned_away_before_they_do_anything(reader: User) -> None:
    client = client_of(reader)
    begin()
    assert client.post("/blog/new/", {"title": "x"}).status_code == 503
    assert client.post("/api/blog/posts/", {}, content_type="application/json").status_code == 503


def test_people_without_staff_rights_are_turned_away_with_their_session_and_token(reader: User) -> None:
    headers, client = bearer(reader, "blog:read"), client_of(reader)
    begin()
    assert client.get("/blog/").status_code == 503
    assert Client().get("/api/blog/posts/", headers=headers).status_code == 503


def test_staff_passes_with_session_and_token_and_sees_that_it_is_on(staff: User) -> None:
    headers, client = bearer(staff, "blog:read"), client_of(staff)
    begin("We move house.")
    response = client.get("/blog/")
    assert response.status_code == 200
    assert "Maintenance mode is on" in response.content.decode()
    assert Client().get("/api/blog/posts/", headers=headers).status_code == 200


def test_a_token_that_is_not_valid_opens_nothing_and_is_recorded() -> None:
    begin()
    headers = {"Authorization": f"Bearer gh_{'x' * 43}"}
    assert Client().get("/api/blog/posts/", headers=headers).status_code == 503
    assert Event.objects.filter(action="accounts.token.refused", outcome="denied").count() == 1


def test_staff_that_was_shut_out_does_not_pass(staff: User) -> None:
    client = client_of(staff)
    User.objects.filter(pk=staff.pk).update(is_active=False)
    begin()
    assert client.get("/blog/").status_code == 503


@pytest.mark.parametrize(
    "address", ["/healthz/live", "/healthz/ready", "/metrics", "/accounts/login/", "/static/css/site.css"]
)
def test_probes_scrapes_the_login_and_static_files_answer_as_ever(address: str) -> None:
    begin()
    response = Client(REMOTE_ADDR="127.0.0.1").get(address)
    response.close()  # a file's
    assert response.status_code == 200


def test_staff_can_log_in_while_it_is_on(staff: User) -> None:
    begin()
    client = Client()
    answer = client.post("/accounts/login/", {"username": "stella", "password": "right-horse-9"})
    assert answer.status_code == 302
    assert client.get("/blog/").status_code == 200


async def test_it_holds_for_async_handlers_too() -> None:
    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("open")

    handler = MaintenanceMiddleware(view)
    assert (await handler(AsyncRequestFactory().get("/blog/"))).status_code == 200
    await database_sync_to_async(begin)()
    assert (await handler(AsyncRequestFactory().get("/blog/"))).status_code == 503
    await database_sync_to_async(actions.end_maintenance)(actor=None)
    assert (await handler(AsyncRequestFactory().get("/blog/"))).status_code == 200


def test_it_ends_by_itself_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    window = begin(minutes=30)
    assert Client().get("/blog/").status_code == 503
    monkeypatch.setattr("django.utils.timezone.now", lambda: window.ends_at)
    assert Client().get("/blog/").status_code == 200
    assert run("status").startswith("Maintenance mode is off.")


# --- looking ---------------------------------------------------------------------------------------------------------


def test_a_process_looks_once_a_second_at_most_and_sees_what_another_has_switched(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    now = [100.0]
    monkeypatch.setattr(queries, "KEPT_SECONDS", 1.0)
    monkeypatch.setattr("ops.maintenance.queries.time.monotonic", lambda: now[0])
    queries.forget()
    with django_assert_num_queries(1):
        assert [queries.current() for _ in range(50)] == [None] * 50
    Maintenance.objects.create(is_on=True, begun_at=datetime.now(UTC))  # as another process would
    assert queries.current() is None
    now[0] += 1.0
    with django_assert_num_queries(1):
        assert all(queries.current() for _ in range(50))


def test_while_the_database_is_away_the_last_answer_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("gone")

    begin("We mend the database.")
    assert queries.current()
    monkeypatch.setattr(queries, "read", away)
    monkeypatch.setattr(queries, "KEPT_SECONDS", 0.0)
    window = queries.current()
    assert window is not None
    assert window.message == "We mend the database."


# --- switching -------------------------------------------------------------------------------------------------------


def test_each_switch_is_in_the_ledger_with_its_reason() -> None:
    run("on", "--message", "We move house.", "--for", "30m", "--reason", "CHANGE-481")
    run("off", "--reason", "CHANGE-481 is done")
    run("on")
    first, second, third = Event.objects.filter(object_type="ops.maintenance").order_by("id")
    assert (first.action, first.changes["message"], first.context["reason"]) == (
        "ops.maintenance.created",
        "We move house.",
        "CHANGE-481",
    )
    assert (second.changes, second.context["reason"]) == ({"is_on": [True, False]}, "CHANGE-481 is done")
    assert third.action == "ops.maintenance.updated"
    assert third.changes["is_on"] == [False, True]
    assert Maintenance.objects.count() == 1


def test_switching_on_what_is_on_changes_its_message_and_end_and_keeps_its_beginning() -> None:
    first = begin("One")
    second = begin("Two", hours=1)
    assert second.begun_at == first.begun_at
    assert (second.message, second.ends_at is None) == ("Two", False)


def test_what_can_not_be_is_refused_with_a_sentence() -> None:
    for message, span in (("x" * 501, {}), ("a\x1b[2Jb", {}), ("", {"days": 31}), ("", {"seconds": -1})):
        with pytest.raises(MaintenanceError):
            begin(message, **span)  # type: ignore[arg-type]
    with pytest.raises(CommandError, match="30 days"):
        run("on", "--for", "5w")
    with pytest.raises(CommandError, match="no span of time"):
        run("on", "--for", "soon")
    with pytest.raises(CommandError, match="`maintenance on` alone"):
        run("off", "--message", "x")
    assert not Maintenance.objects.exists()


def test_the_command_tells_how_it_stands_for_people_and_programs() -> None:
    assert run("status") == "Maintenance mode is off.\n"
    assert "ends by `manage maintenance off`. It says: Soon." in run("on", "--message", "Soon.")
    told = json.loads(run("status", "--format", "json"))
    assert (told["is_on"], told["message"], told["ends_at"]) == (True, "Soon.", None)
    assert run("off") == "Maintenance mode is off.\n"
    assert run("off") == "Maintenance mode is off. It was off already.\n"


# --- the API ---------------------------------------------------------------------------------------------------------

ADDRESS = "/api/ops/maintenance/"


@pytest.fixture
def operator() -> User:
    user = User.objects.create_user("oscar")
    user.groups.add(Group.objects.get(name="operator"))
    return user


def test_an_operator_switches_it_through_the_api_even_while_it_is_on(operator: User) -> None:
    headers = {**bearer(operator, "ops:read", "ops:write"), "X-Audit-Reason": "CHANGE-481"}
    ends_at = datetime.now(UTC) + timedelta(hours=1)
    asked = {"message": "Soon.", "ends_at": ends_at.isoformat()}
    on = Client().post(ADDRESS, asked, content_type="application/json", headers=headers)
    assert (on.status_code, on.json()["is_on"]) == (200, True)
    assert Client().get(ADDRESS, headers=headers).json() == on.json()
    off = Client().delete(ADDRESS, headers=headers)
    assert (off.status_code, off.json()["is_on"]) == (200, False)
    actors = Event.objects.filter(object_type="ops.maintenance").values_list("actor_label", "context__reason")
    assert list(actors) == [("oscar", "CHANGE-481")] * 2


def test_nobody_else_switches_it(staff: User, reader: User, operator: User) -> None:
    for user in (staff, reader):
        assert client_of(user).post(ADDRESS, {}, content_type="application/json").status_code == 403
        assert client_of(user).delete(ADDRESS).status_code == 403
    assert (
        Client().post(ADDRESS, {}, content_type="application/json", headers=bearer(operator, "ops:read")).status_code
        == 403
    )
    assert Client().get(ADDRESS).status_code == 401
    assert client_of(reader).get(ADDRESS).status_code == 403
    assert client_of(staff).get(ADDRESS).json()["is_on"] is False
    assert not Maintenance.objects.exists()
    assert Event.objects.filter(outcome="denied").count() >= 4


def test_the_api_says_what_is_wrong(operator: User) -> None:
    headers = bearer(operator, "ops:write")
    response = Client().post(
        ADDRESS, {"ends_at": "2020-01-01T00:00:00Z"}, content_type="application/json", headers=headers
    )
    assert response.status_code == 400
    assert "not in the past" in str(response.json()["errors"])


# --- sockets ---------------------------------------------------------------------------------------------------------

Connect = Callable[[User | AnonymousUser], Awaitable[SocketClient]]


@pytest.fixture
async def connect(servers: Any, transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connect]:
    """Return a function that opens a personal socket, behind what watches for maintenance."""
    monkeypatch.setattr(queries, "KEPT_SECONDS", 0.05)
    opened: list[SocketClient] = []
    router = URLRouter([path("ws/notifications/", NotificationConsumer.as_asgi())])
    app = HandshakeMiddleware(sockets.MaintenanceMiddleware(router))

    async def open_socket(user: User | AnonymousUser) -> SocketClient:
        socket = SocketClient(app, "/ws/notifications/", user)
        opened.append(socket)
        await socket.connect()
        return socket

    yield open_socket
    for socket in opened:
        await socket.disconnect()
    await database_sync_to_async(connections.close_all)()


async def test_open_sockets_are_told_and_those_of_others_than_staff_closed(
    connect: Connect, staff: User, reader: User
) -> None:
    theirs, ours = await connect(reader), await connect(staff)
    assert [(await socket.receive())["type"] for socket in (theirs, ours)] == ["state", "state"]
    await database_sync_to_async(begin)("We move house.")
    for socket in (theirs, ours):
        frame = await socket.receive()
        assert (frame["type"], frame["is_on"], frame["message"]) == ("maintenance", True, "We move house.")
    closed = await theirs.receive_event()
    assert (closed["type"], closed["code"]) == ("websocket.close", 1012)
    await ours.send({"type": "mark_all_read"})
    await database_sync_to_async(actions.end_maintenance)(actor=None)
    assert await ours.receive() == {
        "type": "maintenance",
        "is_on": False,
        "message": "",
        "begun_at": None,
        "ends_at": None,
    }
    assert await theirs.receive_nothing()


async def test_a_socket_that_comes_while_it_is_on_is_told_and_closed(
    connect: Connect, staff: User, reader: User
) -> None:
    await database_sync_to_async(begin)()
    theirs, ours = await connect(reader), await connect(staff)
    assert (await theirs.receive())["type"] == "maintenance"
    assert (await theirs.receive_event())["code"] == 1012
    assert (await ours.receive())["type"] == "maintenance"
    assert (await ours.receive())["type"] == "state"


async def test_the_watch_ends_with_the_last_socket(connect: Connect, reader: User) -> None:
    before = asyncio.all_tasks()
    socket = await connect(reader)
    await socket.receive()
    assert any("_Watch" in repr(task) for task in asyncio.all_tasks() - before)
    await socket.disconnect()
    assert not any("_Watch" in repr(task) and not task.cancelling() for task in asyncio.all_tasks())


@pytest.fixture(autouse=True)
def _look_anew() -> Iterator[None]:
    yield
    queries.forget()
