"""A room's socket."""

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async

from accounts.models import User
from audit.models import Event
from chat import actions
from chat.models import Message, Room
from tests.notifications.client import SocketClient

pytestmark = pytest.mark.django_db(transaction=True)

Enter = Callable[..., Awaitable[SocketClient]]


@database_sync_to_async
def say(room: Room, user: User, body: str) -> Message:
    return actions.send_message(room, actor=user, body=body)


async def receive_both(socket: SocketClient) -> dict[str, Any]:
    """The answer and the push to the sender come in any order."""
    received = [await socket.receive(), await socket.receive()]
    return {message["type"]: message for message in received}


async def test_a_stranger_is_refused(enter: Enter, room: Room) -> None:
    socket = await enter(None)
    assert (await socket.receive_event())["code"] == 4401


async def test_an_unknown_room_is_told_so(enter: Enter, ann: User) -> None:
    socket = await enter(ann, "nowhere")
    closed = await socket.receive_event()
    assert (closed["code"], closed["reason"]) == (4404, "There is no such room.")


async def test_a_private_room_looks_like_none_to_strangers_and_is_recorded(enter: Enter, ann: User, bob: User) -> None:
    cave = await database_sync_to_async(actions.create_room)(actor=ann, name="The cave")
    unknown, private = await enter(bob, "nowhere"), await enter(bob, "the-cave")
    assert await unknown.receive_event() == await private.receive_event()
    denial = await Event.objects.aget(action="chat.room.entered", outcome="denied")
    assert (denial.actor_label, denial.object_id, denial.origin) == ("bob", str(cave.pk), "websocket")
    assert (await (await enter(ann, "the-cave")).receive())["you"]["role"] == "owner"


async def test_two_people_talk(enter: Enter, room: Room, ann: User, bob: User) -> None:
    hers, his = await enter(ann), await enter(bob)
    for socket in (hers, his):
        hello = await socket.receive()
        assert (hello["type"], hello["room"], hello["last_sequence"]) == ("hello", "a-room", 0)
        assert hello["you"]["can_write"]
    client_id = str(uuid.uuid4())
    await hers.send({"type": "send", "body": "<i>Hello</i> Bob", "client_id": client_id})
    both = await receive_both(hers)
    heard = await his.receive()
    assert both["message.created"] == heard
    assert (heard["type"], heard["room"], heard["sequence"]) == ("message.created", "a-room", 1)
    assert heard["message"]["body"] == "<i>Hello</i> Bob"
    assert heard["message"]["author"] == {"id": ann.pk, "name": "Ann", "username": "ann"}
    assert both["sent"] == {"type": "sent", "client_id": client_id, "message": heard["message"]}


async def test_a_message_sent_twice_is_heard_once(enter: Enter, room: Room, ann: User, bob: User) -> None:
    hers, his = await enter(ann), await enter(bob)
    await hers.receive()
    await his.receive()
    frame = {"type": "send", "body": "Hello", "client_id": str(uuid.uuid4())}
    await hers.send(frame)
    first = (await receive_both(hers))["sent"]
    await hers.send(frame)
    assert await hers.receive() == first
    assert (await his.receive())["sequence"] == 1
    assert await his.receive_nothing()


async def test_a_gap_is_fetched(enter: Enter, room: Room, ann: User) -> None:
    for number in range(1, 4):
        await say(room, ann, f"message {number}")
    socket = await enter(ann)
    assert (await socket.receive())["last_sequence"] == 3
    await socket.send({"type": "fetch", "after": 1})
    page = await socket.receive()
    assert (page["type"], page["after"], page["upto"], page["last_sequence"]) == ("events", 1, 3, 3)
    assert [event["message"]["body"] for event in page["events"]] == ["message 2", "message 3"]


async def test_rooms_do_not_hear_each_other(enter: Enter, room: Room, ann: User) -> None:
    other = await database_sync_to_async(actions.open_room)("other", name="Other", actor=None)
    socket = await enter(ann, "other")
    await socket.receive()
    await say(room, ann, "not for you")
    assert await socket.receive_nothing()
    await say(other, ann, "for you")
    assert (await socket.receive())["message"]["body"] == "for you"


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "send"},
        {"type": "send", "body": ""},
        {"type": "send", "body": "a\x00b"},
        {"type": "send", "body": "\ud800"},
        {"type": "send", "body": ["x"]},
        {"type": "send", "body": "x" * 4_001},
        {"type": "send", "body": "x", "client_id": "mine"},
        {"type": "send", "body": "x", "client_id": 5},
        {"type": "fetch"},
        {"type": "fetch", "after": -1},
        {"type": "fetch", "after": 2**63},
        {"type": "fetch", "after": "0"},
        {"type": "nonsense"},
    ],
)
async def test_a_bad_frame_gets_an_error_and_the_socket_stays(
    enter: Enter, room: Room, ann: User, frame: dict[str, Any]
) -> None:
    socket = await enter(ann)
    await socket.receive()
    await socket.send(frame)
    error = await socket.receive()
    assert error["type"] == "error"
    assert error["request_id"]
    assert error.get("client_id") == (frame.get("client_id") if isinstance(frame.get("client_id"), str) else None)
    assert not await room.messages.aexists()
    await socket.send({"type": "fetch", "after": 0})
    assert (await socket.receive())["type"] == "events"


async def test_a_flood_of_frames_is_cut_off(enter: Enter, room: Room, ann: User) -> None:
    socket = await enter(ann)
    await socket.receive()
    for _ in range(60):
        await socket.send({"type": "typing"})
    errors = []
    while (event := await socket.receive_event())["type"] == "websocket.send":
        if (message := json.loads(event["text"]))["type"] == "error":
            errors.append(message["title"])
    assert event["code"] == 1008
    assert errors == ["Too many frames"]


async def test_a_room_that_is_gone_takes_no_messages(enter: Enter, room: Room, ann: User) -> None:
    socket = await enter(ann)
    await socket.receive()
    await room.adelete()
    await socket.send({"type": "send", "body": "Hello?"})
    assert (await socket.receive())["title"] == "Not found"


async def test_the_ledger_knows_who_spoke_and_by_which_frame(enter: Enter, room: Room, ann: User) -> None:
    socket = await enter(ann)
    await socket.receive()
    await socket.send({"type": "send", "body": "Hello"})
    await receive_both(socket)
    event = await Event.objects.aget(action="chat.message.created")
    assert (event.actor_type, event.actor_label, event.origin) == ("user", "ann", "websocket")
    assert event.operation == "WEBSOCKET /ws/chat/<room>/"
    assert event.request_id
