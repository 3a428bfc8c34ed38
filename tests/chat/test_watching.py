"""Open sockets are looked after: nothing is missed, nobody stays who may not, and who is there is known."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import Group
from django.contrib.sessions.backends.db import SessionStore
from django.urls import path

from accounts.models import User
from audit.models import Event
from chat import actions, presence, watching
from chat.consumers import ChatConsumer
from chat.models import Message, Role, Room
from tests.chat.conftest import Enter, RoomClient

pytestmark = pytest.mark.django_db(transaction=True)


@database_sync_to_async
def say(room: Room, user: User, body: str) -> Message:
    return actions.send_message(room, actor=user, body=body)


async def look() -> None:
    """Let the watch look now, without waiting for its time."""
    await watching.watch().tick()


async def test_who_comes_back_is_told_all_that_happened(enter: Enter, room: Room, ann: User) -> None:
    first, second = await say(room, ann, "one"), await say(room, ann, "two")
    await database_sync_to_async(actions.edit_message)(first, actor=ann, body="uno")
    await database_sync_to_async(actions.delete_message)(second, actor=ann)
    socket = await enter(ann, after=1)
    assert (await socket.receive())["last_sequence"] == 4
    told = await socket.receive()
    assert [(event["type"], event["sequence"]) for event in told["events"]] == [
        ("message.created", 2),
        ("message.edited", 3),
        ("message.deleted", 4),
    ]
    assert told["events"][1]["message"]["body"] == "uno"
    assert told["events"][0]["message"]["body"] == ""  # what was deleted isn't told once more
    up_to_date = await enter(ann, after=4)
    assert (await up_to_date.receive())["type"] == "hello"
    assert (await up_to_date.receive())["events"] == []
    ahead = await enter(ann, after=5)
    assert (await ahead.receive())["type"] == "hello"
    assert (await ahead.receive())["type"] == "resync"


async def test_a_push_that_is_lost_is_made_up_for(
    enter: Enter, room: Room, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = await enter(ann)
    await socket.receive()
    monkeypatch.setattr("chat.actions.log.push_to_group", lambda group, message: None)
    await say(room, ann, "Does anybody hear me?")
    await look()
    await look()
    assert await socket.receive() == {"type": "sequence", "last_sequence": 1}
    await look()
    assert await socket.receive_nothing()  # it knows by now


async def _log_out(user: User, room: Room, session: SessionStore) -> None:
    await database_sync_to_async(session.flush)()


@database_sync_to_async
def _change_password(user: User, room: Room, session: SessionStore) -> None:
    elsewhere = User.objects.get(pk=user.pk)  # another object than the socket has, as in another process
    elsewhere.set_password("another")
    elsewhere.save()


@database_sync_to_async
def _close_account(user: User, room: Room, session: SessionStore) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@database_sync_to_async
def _ban(user: User, room: Room, session: SessionStore) -> None:
    owner = room.members.exclude(user=user).get(role=Role.OWNER).user
    actions.restrict(user, room=room, kind="ban", reason="noise", actor=owner)


@database_sync_to_async
def _remove(user: User, room: Room, session: SessionStore) -> None:
    owner = room.members.exclude(user=user).get(role=Role.OWNER).user
    actions.remove_member(room, user, actor=owner)


@database_sync_to_async
def _demote(user: User, room: Room, session: SessionStore) -> None:
    owner = room.members.exclude(user=user).get(role=Role.OWNER).user
    actions.change_role(room, user, actor=owner, role=Role.MEMBER)


@database_sync_to_async
def _delete_room(user: User, room: Room, session: SessionStore) -> None:
    Room.objects.get(pk=room.pk).delete()


@pytest.mark.parametrize(
    ("happens", "code"),
    [
        (_log_out, 4401),
        (_change_password, 4401),
        (_close_account, 4404),
        (_ban, 4404),
        (_remove, 4404),
        (_demote, 4403),
        (_delete_room, 4404),
    ],
)
async def test_whoever_may_not_stay_is_shown_out(
    enter: Enter, ann: User, bob: User, happens: Callable[[User, Room, SessionStore], Awaitable[None]], code: int
) -> None:
    room = await database_sync_to_async(actions.create_room)(actor=ann, name="The cave")
    await database_sync_to_async(actions.add_member)(room, bob, actor=ann, role=Role.MODERATOR)
    session = SessionStore()
    await database_sync_to_async(session.create)()
    socket = await enter(bob, "the-cave", session=session)
    staying = await enter(ann, "the-cave")
    for one in (socket, staying):
        await one.receive()
    await look()
    assert await socket.receive_nothing()
    await happens(bob, room, session)
    await look()
    while (event := await socket.receive_event())["type"] == "websocket.send":
        assert "changed" in event["text"]  # that they went is told to those who are there
    assert event["code"] == code
    if happens is not _delete_room:
        await socket.disconnect()
        assert [one.access.user.pk for one in watching.open_sockets()] == [ann.pk]


async def test_who_is_muted_is_told_so_and_when_it_is_over(enter: Enter, ann: User, bob: User) -> None:
    cave = await database_sync_to_async(actions.create_room)(actor=ann, name="The cave")
    await database_sync_to_async(actions.add_member)(cave, bob, actor=ann)
    socket = await enter(bob, "the-cave")
    assert (await socket.receive())["you"]["can_write"]
    mute = await database_sync_to_async(actions.restrict)(bob, room=cave, kind="mute", reason="noise", actor=ann)
    await look()
    told = await socket.receive()
    assert (told["type"], told["you"]["can_write"], told["you"]["role"]) == ("you", False, "member")
    await look()
    await database_sync_to_async(actions.lift)(mute, actor=ann)
    await look()
    assert (await socket.receive())["you"]["can_write"]
    assert await socket.receive_nothing()


async def test_a_site_moderator_who_is_none_any_more_is_shown_out(enter: Enter, room: Room, ann: User) -> None:
    group = await Group.objects.aget(name="moderator")
    await ann.groups.aadd(group)
    socket = await enter(ann)
    assert (await socket.receive())["you"]["can_moderate"]
    await ann.groups.aremove(group)
    await look()
    assert (await socket.receive_event())["code"] == 4403


async def test_who_is_there_is_told_once_however_many_tabs(
    enter: Enter, room: Room, ann: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    tabs = [await enter(ann), await enter(ann)]
    his = await enter(bob)
    await look()
    for socket in (*tabs, his):
        told = await socket.receive_presence()
        while told["count"] != 2:
            told = await socket.receive_presence()
        assert told["here"] == [{"id": ann.pk, "name": "Ann"}, {"id": bob.pk, "name": "bob"}]
    await tabs[0].disconnect()
    await look()
    assert presence.people_in(room.pk) == {ann.pk, bob.pk}
    await tabs[1].disconnect()
    await look()
    assert (await his.receive_presence())["here"] == [{"id": bob.pk, "name": "bob"}]


async def test_a_process_that_died_is_forgotten(room: Room, ann: User, bob: User, wait_until: Any) -> None:
    def is_forgotten() -> bool:
        return presence.people_in(room.pk) == {bob.pk}

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(presence, "BELIEVED_SECONDS", 1.5)
        presence.renew({room.pk: [ann.pk]}, (), process="dead")
    presence.renew({room.pk: [bob.pk]}, (), process="alive")
    assert presence.people_in(room.pk) == {ann.pk, bob.pk}
    assert await asyncio.to_thread(wait_until, is_forgotten)


async def test_that_somebody_types_is_told_to_the_others(enter: Enter, room: Room, ann: User, bob: User) -> None:
    hers, his = await enter(ann), await enter(bob)
    for socket in (hers, his):
        await socket.receive()
    for _ in range(3):
        await hers.send({"type": "typing"})
    assert await his.receive() == {"type": "typing", "user": {"id": ann.pk, "name": "Ann"}, "seconds": 6}
    assert await his.receive_nothing()  # once is enough
    assert await hers.receive_nothing()


async def test_what_is_read_in_one_tab_is_read_in_all(enter: Enter, room: Room, ann: User, bob: User) -> None:
    await say(room, ann, "one")
    await say(room, ann, "two")
    other = await database_sync_to_async(actions.open_room)("other", name="Other", actor=None)
    assert other
    tabs, hers = [await enter(bob), await enter(bob, "other")], await enter(ann)
    for socket in (*tabs, hers):
        await socket.receive()
    await tabs[0].send({"type": "read", "sequence": 1})
    for tab in tabs:
        told = await tab.receive()
        assert (told["type"], told["room"], told["read"], told["unread"]) == ("read", "a-room", 1, 1)
    await tabs[0].send({"type": "read", "sequence": 0})
    assert await tabs[0].receive_nothing()
    assert await hers.receive_nothing()


async def test_who_says_too_much_is_closed_and_it_is_recorded_once(
    enter: Enter, room: Room, ann: User, bob: User, settings: Any, in_one_minute: None
) -> None:
    settings.CHAT_MESSAGES_PER_MINUTE = 3
    for code in (1008, 1008):
        socket = await enter(ann)
        titles = []
        for number in range(5):
            await socket.send({"type": "send", "body": str(number)})
        while (event := await socket.receive_event())["type"] == "websocket.send":
            titles.append(event["text"])
        assert event["code"] == code
        assert "a minute" in event["reason"]
        assert any("Too many messages" in title for title in titles)
    assert await Message.objects.filter(room=room).acount() == 3
    assert await Event.objects.filter(action="chat.message.limited", outcome="denied").acount() == 1
    await say(room, bob, "others may")


async def test_a_person_has_so_many_tabs_and_no_more(enter: Enter, room: Room, ann: User, settings: Any) -> None:
    settings.CHAT_SOCKETS_OF_USER = 2
    first, second = await enter(ann), await enter(ann)
    for socket in (first, second):
        assert (await socket.receive())["type"] == "hello"
    assert (await (await enter(ann)).receive_event())["code"] == 1008
    assert await Event.objects.filter(action="chat.room.entered", outcome="denied").acount() == 1
    await first.disconnect()
    assert (await (await enter(ann)).receive())["type"] == "hello"


async def test_who_does_not_read_is_cut_off_and_others_are_not_held_up(
    enter: Enter, room: Room, ann: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SLOW_SECONDS", 0.05)
    app = URLRouter([path("ws/chat/<slug:room>/", ChatConsumer.as_asgi())])
    sent: list[dict[str, Any]] = []
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    is_stuck = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if len(sent) > 2:  # the handshake and the hello
            is_stuck.set()
            await asyncio.Event().wait()

    scope = {"type": "websocket", "path": "/ws/chat/a-room/", "headers": [], "query_string": b"", "user": ann}
    serving = asyncio.create_task(app(scope, incoming.get, send))
    await incoming.put({"type": "websocket.connect"})
    his = await enter(bob)
    assert (await his.receive())["type"] == "hello"
    await say(room, bob, "Hello?")
    assert (await his.receive())["sequence"] == 1
    await asyncio.wait_for(is_stuck.wait(), 60)
    await say(room, bob, "Are you there?")
    assert (await his.receive())["sequence"] == 2
    while not serving.done():
        await look()
        await asyncio.wait([serving], timeout=0.1)
    assert await serving is None
    assert {socket.access.user.pk for socket in watching.open_sockets()} == {bob.pk}


async def test_redis_that_is_away_is_said_so(
    enter: Enter, room: Room, ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Any, group: str, channel: str) -> None:
        raise ConnectionError("no Redis")

    from config.channel_layer import _LoopLayer

    monkeypatch.setattr(_LoopLayer, "group_add", fail)
    socket: RoomClient = await enter(ann)
    assert (await socket.receive_event())["code"] == 1013
