"""The tail's socket: who may open it, and what it shows."""

from decimal import Decimal
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.test import Client

import audit
from accounts.models import User
from audit.live import consumers, readers, tail
from audit.reading.cursors import Cursor
from tests.audit.everything.models import Thing
from tests.audit.tails import TAGS, Open, add_tags, names, recorded

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick_tails")]


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


async def test_a_permission_for_one_type_shows_that_type_alone(open_tail: Open, tail_reader: User) -> None:
    @database_sync_to_async
    def narrow() -> None:
        wanted = Permission.objects.get(codename="view_events_of_everything_tag")
        tail_reader.user_permissions.set([wanted])

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


async def test_who_may_not_read_is_refused_and_that_recorded(open_tail: Open, tail_reader: User) -> None:
    await database_sync_to_async(tail_reader.user_permissions.clear)()
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
