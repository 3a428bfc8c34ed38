"""The tail's socket ends with its reader's permission, and outlives a database that is away."""

import threading
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.test import Client
from django.urls import path

from accounts.models import User
from audit.live import tail
from audit.live.consumers import TailConsumer
from audit.models import Event
from tests.audit.everything.models import Tag, Thing
from tests.audit.tails import Open, add_tags, names
from tests.notifications.client import SocketClient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_tails")]


async def test_a_logout_closes_the_tail_in_time(open_tail: Open, tail_browser: Client) -> None:
    socket = await open_tail()
    await socket.receive()
    await database_sync_to_async(tail_browser.logout)()

    assert (await socket.closed())[0] == 4401


async def test_a_new_password_closes_the_tail(open_tail: Open, tail_reader: User) -> None:
    socket = await open_tail()
    await socket.receive()
    tail_reader.set_password("other-horse-8")
    await database_sync_to_async(tail_reader.save)()

    assert (await socket.closed())[0] == 4401


@pytest.mark.parametrize("lost", ["permission", "account"])
async def test_a_permission_that_is_taken_closes_the_tail_even_amid_a_slow_search(
    open_tail: Open, tail_reader: User, lost: str, monkeypatch: pytest.MonkeyPatch
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
    tail_reader.is_active = lost != "account"
    try:
        if lost == "permission":
            await database_sync_to_async(tail_reader.user_permissions.clear)()
        else:
            await database_sync_to_async(tail_reader.save)()
        await add_tags("not for these eyes")

        assert (await socket.closed())[0] == 4403
    finally:
        is_over.set()


async def test_a_permission_that_narrows_narrows_the_tail(
    open_tail: Open, tail_reader: User, monkeypatch: pytest.MonkeyPatch
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
        tail_reader.user_permissions.set([Permission.objects.get(codename="view_events_of_everything_tag")])
        assert is_narrow.wait(60)
        Thing.objects.create(name="unseen")
        Tag.objects.create(name="seen")

    await narrow()
    assert names(await socket.receive()) == ["seen"]


async def test_a_scope_without_a_session_goes_by_the_account(tail_reader: User) -> None:
    socket = SocketClient(URLRouter([path("ws/audit/", TailConsumer.as_asgi())]), "/ws/audit/", tail_reader)
    await socket.connect()
    assert (await socket.receive())["type"] == "ready"
    tail_reader.is_active = False
    await database_sync_to_async(tail_reader.save)()

    while (event := await socket.receive_event())["type"] == "websocket.send":
        pass  # it has no filter, so it shows what happens to the account
    assert event["code"] == 4403
    await socket.disconnect()


async def test_a_filter_that_may_no_longer_be_used_closes_the_tail(open_tail: Open, tail_reader: User) -> None:
    personal = await Permission.objects.aget(codename="view_personal")
    await tail_reader.user_permissions.aadd(personal)
    socket = await open_tail({"address": "192.0.2.7"})
    await socket.receive()
    await tail_reader.user_permissions.aremove(personal)

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
