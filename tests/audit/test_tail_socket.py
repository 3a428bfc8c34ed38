"""The tail's socket: who may open it, what it shows, and that it ends with its reader's permission."""

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import Permission
from django.db import OperationalError, connections
from django.test import Client
from django.urls import path

import audit
from accounts.models import User
from audit.live import consumers, readers, tail
from audit.live.consumers import TailConsumer
from audit.models import Event
from audit.reading.cursors import Cursor
from config.asgi import application
from tests.audit.everything.models import Tag, Thing
from tests.notifications.client import SocketClient

pytestmark = pytest.mark.django_db(transaction=True)

TAGS = {"action": "everything.tag.created"}


class TailClient(SocketClient):
    """Speaks with a tail as a browser does: by the platform's whole stack, with a session's cookie."""

    def __init__(self, browser: Client, query: str) -> None:
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())
        headers = {"origin": "http://testserver", "host": "testserver", "cookie": cookies}
        scope = {
            "type": "websocket",
            "path": "/ws/audit/",
            "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
            "query_string": query.encode(),
            "subprotocols": [],
            "client": ("127.0.0.1", 50_000),
        }
        self._communicator = ApplicationCommunicator(application, scope)
        self._is_open = False

    async def closed(self) -> tuple[int, str]:
        """Return the code and reason with which the socket is closed next."""
        event = await self.receive_event()
        assert event["type"] == "websocket.close", event
        return event["code"], event["reason"]

    def cut_off(self) -> None:
        """End the application's coroutine, as a server does that stops."""
        self._communicator.stop()
        self._is_open = False


Open = Callable[..., Awaitable[TailClient]]


@pytest.fixture(autouse=True)
def _quickly(settings: Any, servers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often; and however busy the machine, take nothing for too slow."""
    settings.AUDIT_TAIL_SECONDS = 0.05
    monkeypatch.setattr(consumers, "_CHECK_SECONDS", 0.1)
    monkeypatch.setattr(consumers, "_CHECK_WITHIN_SECONDS", 3_600.0)
    monkeypatch.setattr(consumers, "_WITHIN_SECONDS", 3_600.0)
    monkeypatch.setattr(consumers, "_IDLE_SECONDS", 3_600.0)


@pytest.fixture
def auditor(transactional_db: None) -> User:
    user = User.objects.create_user("auditor", password="right-horse-9")
    user.user_permissions.add(Permission.objects.get(codename="view_event"))
    return user


@pytest.fixture
def browser(auditor: User) -> Client:
    client = Client()
    client.force_login(auditor)
    return client


@pytest.fixture
async def open_tail(browser: Client) -> AsyncIterator[Open]:
    """Return a function that opens a tail with filters, as the auditor or by another browser."""
    opened: list[TailClient] = []

    async def open_one(asked: dict[str, Any] | str = TAGS, by: Client = browser) -> TailClient:
        tail_client = TailClient(by, asked if isinstance(asked, str) else urlencode(asked))
        opened.append(tail_client)
        await tail_client.connect()
        return tail_client

    yield open_one
    for one in opened:
        await one.disconnect()
    await database_sync_to_async(connections.close_all)()


@database_sync_to_async
def add_tags(*names: str) -> None:
    for name in names:
        Tag.objects.create(name=name)


@database_sync_to_async
def recorded(action: str) -> list[tuple[str, Any]]:
    events = Event.objects.filter(action=action).order_by("id")
    return [(event.actor_label, event.changes) for event in events]


def names(frame: dict[str, Any]) -> list[str]:
    assert frame["type"] == "events", frame
    return [event["changes"]["name"][1] for event in frame["events"]]


# --- what it shows ---------------------------------------------------------------------------------------------------


async def test_events_arrive_as_the_api_has_them_and_both_ends_are_recorded(open_tail: Open) -> None:
    socket = await open_tail()
    ready = await socket.receive()
    assert (ready["type"], ready["filters"]) == ("ready", TAGS)
    assert await recorded("audit.ledger.tail_opened") == [("auditor", {"filters": TAGS, "is_resumed": False})]

    await add_tags("a")
    await database_sync_to_async(Thing.objects.create)(name="no tag")
    frame = await socket.receive()
    (event,) = frame["events"]
    assert (event["action"], event["object_type"]) == ("everything.tag.created", "everything.tag")
    assert event["changes"]["name"] == [None, "a"]
    assert event["recorded_at"].endswith("+00:00")

    await socket.disconnect()
    told = {"filters": TAGS, "events": 1, "end": "The client left."}
    assert await recorded("audit.ledger.tail_closed") == [("auditor", told)]


async def test_a_tail_resumes_behind_each_batch_and_misses_nothing_meanwhile(open_tail: Open) -> None:
    socket = await open_tail()
    await socket.receive()
    await add_tags("a")
    first = await socket.receive()
    await socket.disconnect()
    await add_tags("b", "c")

    again = await open_tail(TAGS | {"cursor": first["cursor"]})
    await again.receive()
    shown = names(await again.receive())
    await add_tags("d")

    assert names(first) == ["a"]
    assert shown + names(await again.receive()) == ["b", "c", "d"]


async def test_many_events_come_in_bounded_batches(open_tail: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail.read, "__kwdefaults__", {"limit": 3, "using": "default"})
    cursor = await database_sync_to_async(tail.begin)()
    await add_tags(*"abcdefg")

    socket = await open_tail(TAGS | {"cursor": str(cursor)})
    await socket.receive()

    assert [names(await socket.receive()) for _ in range(3)] == [list("abc"), list("def"), ["g"]]


async def test_the_cursor_moves_on_while_nothing_matches(open_tail: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "_IDLE_SECONDS", 0.2)
    socket = await open_tail({"action": "nothing.at.all"})
    ready = await socket.receive()
    await add_tags("a")

    frames = [await socket.receive()]
    while len(frames) < 100 and frames[-1]["cursor"] == ready["cursor"]:  # they may be from before the tag
        frames.append(await socket.receive())

    assert {frame["type"] for frame in frames} == {"idle"}
    assert frames[-1]["cursor"] != ready["cursor"]


async def test_a_paused_tail_is_silent_and_then_shows_what_came(open_tail: Open) -> None:
    socket = await open_tail()
    await socket.receive()
    await socket.send({"type": "pause"})
    await socket.send({"type": "nonsense"})
    assert (await socket.receive())["title"] == "Unknown type"  # so the pause has begun
    await add_tags("a", "b")
    assert await socket.receive_nothing()

    await socket.send({"type": "resume"})

    assert names(await socket.receive()) == ["a", "b"]


async def test_numbers_keep_all_their_digits(open_tail: Open) -> None:
    weight = Decimal("12345678901234567890123456789.50")
    socket = await open_tail({"action": "everything.thing.weighed"})
    await socket.receive()

    await database_sync_to_async(audit.record)("everything.thing.weighed", changes={"weight": weight})

    assert f'"changes":{{"weight":[null,{weight}]}}' in (await socket.receive_event())["text"]


async def test_personal_and_masked_values_are_hidden(open_tail: Open) -> None:
    socket = await open_tail({"action": "accounts.user.created"})
    await socket.receive()

    await database_sync_to_async(User.objects.create_user)("bob", email="bob@example.org", password="right-horse-9")
    changes = (await socket.receive())["events"][0]["changes"]

    assert changes["email"] == [None, {"hidden": "personal"}]
    assert changes["password"] == [None, {"hidden": "masked"}]
    assert changes["username"] == [None, "bob"]


async def test_a_permission_for_one_type_shows_that_type_alone(open_tail: Open, auditor: User) -> None:
    @database_sync_to_async
    def narrow() -> None:
        wanted = Permission.objects.get(codename="view_events_of_everything_tag")
        auditor.user_permissions.set([wanted])

    await narrow()
    socket = await open_tail({"action": "everything."})
    await socket.receive()

    await database_sync_to_async(Thing.objects.create)(name="unseen")
    await add_tags("seen")

    assert names(await socket.receive()) == ["seen"]


async def test_a_tail_that_shows_reads_shows_itself_once(open_tail: Open) -> None:
    socket = await open_tail({"action": "audit.ledger."})
    await socket.receive()

    assert [event["action"] for event in (await socket.receive())["events"]] == ["audit.ledger.tail_opened"]
    assert await socket.receive_nothing()


# --- refusals --------------------------------------------------------------------------------------------------------


async def test_a_stranger_is_refused(open_tail: Open) -> None:
    socket = await open_tail(by=Client())
    assert (await socket.closed())[0] == 4401


async def test_who_may_not_read_is_refused_and_that_recorded(open_tail: Open, auditor: User) -> None:
    await database_sync_to_async(auditor.user_permissions.clear)()
    socket = await open_tail()

    assert (await socket.closed())[0] == 4403
    assert await recorded("audit.ledger.read_denied") == [("auditor", None)]
    await socket.disconnect()
    assert await recorded("audit.ledger.tail_opened") == await recorded("audit.ledger.tail_closed") == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("colour=red", "colour"),
        ("since=yesterday", "since"),
        ("address=192.0.2.7", "address"),
        ("changes.email.to=bob@example.org", "changes.email.to"),
        ("action=a&action=b", "action"),
        ("cursor=x", "cursor"),
        ("cursor=", None),
        ("a=" * 3 + "&b=" * 200, "query"),
        ("q=%ff%00", "q"),
    ],
)
async def test_a_wrong_filter_is_named(open_tail: Open, query: str, name: str | None) -> None:
    socket = await open_tail(query)
    frame = await socket.receive()
    if name is None:
        assert frame["type"] == "ready"
        return
    assert (frame["type"], list(frame["errors"])) == ("error", [name])
    assert frame["request_id"]
    assert (await socket.closed())[0] == 1008


async def test_a_cursor_of_another_database_wants_a_new_beginning(open_tail: Open) -> None:
    socket = await open_tail({"cursor": str(Cursor("oldest", database="42", seen="5:5:"))})

    assert await socket.receive() == {"type": "resync"}
    assert (await socket.closed())[0] == 1000


async def test_what_cant_be_recorded_isnt_shown(open_tail: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(tail, "record_opened", refuse)
    socket = await open_tail()

    assert (await socket.receive())["title"] == "Unavailable"
    assert (await socket.closed())[0] == 1013


async def test_a_person_has_so_many_tails_and_a_new_one_when_one_ends(open_tail: Open, settings: Any) -> None:
    settings.AUDIT_TAIL_CONNECTIONS = 2
    first = await open_tail()
    assert (await first.receive())["type"] == "ready"
    assert (await (await open_tail()).receive())["type"] == "ready"
    for _ in range(2):
        refused = await open_tail()
        assert (await refused.receive())["title"] == "Too many tails"
        assert (await refused.closed())[0] == 1008
    assert await recorded("audit.ledger.read_denied") == [("auditor", {"tails": 2})]

    await first.disconnect()

    assert (await (await open_tail()).receive())["type"] == "ready"


async def test_a_cache_that_is_away_keeps_nobody_from_the_ledger(
    open_tail: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            raise ConnectionError

    monkeypatch.setattr(readers, "cache", Away())

    assert (await (await open_tail()).receive())["type"] == "ready"


@pytest.mark.parametrize("text", ["{", "", "[]", "null", "[" * 900, '{"type": ["pause"]}', '{"type": 1e400}'])
async def test_a_bad_frame_gets_an_error_and_the_tail_goes_on(open_tail: Open, text: str) -> None:
    socket = await open_tail()
    await socket.receive()
    await socket.send_frame(text=text)
    assert (await socket.receive())["type"] == "error"
    await add_tags("a")
    assert names(await socket.receive()) == ["a"]


async def test_a_huge_frame_and_a_flood_close_the_socket(open_tail: Open) -> None:
    huge = await open_tail()
    await huge.receive()
    await huge.send_frame(text="x" * (consumers.LONGEST_FRAME + 1))
    assert (await huge.closed())[0] == 1009

    flood = await open_tail()
    await flood.receive()
    for _ in range(60):
        await flood.send({"type": "pause"})
    assert (await flood.receive())["title"] == "Too many frames"
    assert (await flood.closed())[0] == 1008


# --- a permission that ends, a database that goes --------------------------------------------------------------------


async def test_a_logout_closes_the_tail_in_time(open_tail: Open, browser: Client) -> None:
    socket = await open_tail()
    await socket.receive()
    await database_sync_to_async(browser.logout)()

    assert (await socket.closed())[0] == 4401


async def test_a_new_password_closes_the_tail(open_tail: Open, auditor: User) -> None:
    socket = await open_tail()
    await socket.receive()
    auditor.set_password("other-horse-8")
    await database_sync_to_async(auditor.save)()

    assert (await socket.closed())[0] == 4401


@pytest.mark.parametrize("lost", ["permission", "account"])
async def test_a_permission_that_is_taken_closes_the_tail_even_amid_a_slow_search(
    open_tail: Open, auditor: User, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = await open_tail()
    await socket.receive()
    is_over, is_slow = threading.Event(), threading.Event()
    read = tail.read

    def read_slowly(*args: Any, **kwargs: Any) -> tail.Batch:
        is_slow.set()
        is_over.wait(300)
        return read(*args, **kwargs)

    monkeypatch.setattr(tail, "read", read_slowly)
    await database_sync_to_async(is_slow.wait)(60)
    auditor.is_active = lost != "account"
    try:
        if lost == "permission":
            await database_sync_to_async(auditor.user_permissions.clear)()
        else:
            await database_sync_to_async(auditor.save)()
        await add_tags("not for these eyes")

        assert (await socket.closed())[0] == 4403
    finally:
        is_over.set()


async def test_a_permission_that_narrows_narrows_the_tail(
    open_tail: Open, auditor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_narrow = threading.Event()
    view_of = TailConsumer._view_of

    def notice(consumer: TailConsumer, access: Any) -> Any:
        view = view_of(consumer, access)
        if access.object_types is not None:
            is_narrow.set()
        return view

    monkeypatch.setattr(TailConsumer, "_view_of", notice)
    socket = await open_tail({"action": "everything."})
    await socket.receive()

    @database_sync_to_async
    def narrow() -> None:
        auditor.user_permissions.set([Permission.objects.get(codename="view_events_of_everything_tag")])
        assert is_narrow.wait(60)
        Thing.objects.create(name="unseen")
        Tag.objects.create(name="seen")

    await narrow()
    assert names(await socket.receive()) == ["seen"]


async def test_a_scope_without_a_session_goes_by_the_account(auditor: User) -> None:
    socket = SocketClient(URLRouter([path("ws/audit/", TailConsumer.as_asgi())]), "/ws/audit/", auditor)
    await socket.connect()
    assert (await socket.receive())["type"] == "ready"
    auditor.is_active = False
    await database_sync_to_async(auditor.save)()

    while (event := await socket.receive_event())["type"] == "websocket.send":
        pass  # it has no filter, so it shows what happens to the account
    assert event["code"] == 4403
    await socket.disconnect()


async def test_a_filter_that_may_no_longer_be_used_closes_the_tail(open_tail: Open, auditor: User) -> None:
    personal = await Permission.objects.aget(codename="view_personal")
    await auditor.user_permissions.aadd(personal)
    socket = await open_tail({"address": "192.0.2.7"})
    await socket.receive()
    await auditor.user_permissions.aremove(personal)

    assert list((await socket.receive())["errors"]) == ["address"]
    assert (await socket.closed())[0] == 1008


async def test_a_database_that_is_away_is_waited_for_and_nothing_missed(
    open_tail: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = await open_tail()
    await socket.receive()
    read, is_away = tail.read, threading.Event()
    is_away.set()

    def fail(*args: Any, **kwargs: Any) -> tail.Batch:
        if is_away.is_set():
            raise OperationalError
        return read(*args, **kwargs)

    monkeypatch.setattr(tail, "read", fail)
    assert (await socket.receive())["type"] == "waiting"
    await add_tags("a")
    is_away.clear()

    assert names(await socket.receive()) == ["a"]


async def test_no_connection_is_held_between_two_readings(
    open_tail: Open, superuser: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    monkeypatch.setattr(tail, "pause_seconds", lambda failures=0: 3_600.0)
    before = _connection_count(superuser)
    socket = await open_tail()
    await socket.receive()

    await database_sync_to_async(wait_until)(lambda: _connection_count(superuser) <= before + 1)


def _connection_count(superuser: Any) -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> ''"
    return int(superuser.execute(query).fetchone()[0])


async def test_a_socket_that_is_cut_off_gives_up_its_place_and_records_the_end(
    open_tail: Open, settings: Any, wait_until: Any
) -> None:
    settings.AUDIT_TAIL_CONNECTIONS = 1
    socket = await open_tail()
    await socket.receive()
    socket.cut_off()

    await database_sync_to_async(wait_until)(Event.objects.filter(action="audit.ledger.tail_closed").exists)
    assert (await (await open_tail()).receive())["type"] == "ready"
