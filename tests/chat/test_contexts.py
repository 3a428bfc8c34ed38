"""What comes by a socket is told of the person at its other end, each message as a request of its own."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from channels.db import database_sync_to_async

from accounts.models import User
from audit.models import Event
from chat.consumers import ChatConsumer
from chat.models import Room
from telemetry.context import current
from tests.notifications.client import SocketClient

Enter = Callable[..., Awaitable[SocketClient]]


@database_sync_to_async
def sent() -> list[Event]:
    return list(Event.objects.filter(action="chat.message.created").order_by("id"))


async def test_a_message_names_who_sent_it(enter: Enter, room: Room, ann: User) -> None:
    socket = await enter(ann)
    await socket.receive()
    await socket.send({"type": "send", "body": "Hello"})
    await socket.receive()
    (event,) = await sent()

    assert (event.actor_type, event.actor_id, event.actor_label) == ("user", str(ann.pk), "ann")
    assert (event.origin, event.operation) == ("websocket", "WEBSOCKET /ws/chat/<room>/")
    assert event.request_id
    assert event.trace_id
    assert event.context["address"] == "127.0.0.1"


async def test_sockets_side_by_side_never_speak_for_each_other(enter: Enter, room: Room, ann: User, bob: User) -> None:
    sockets = {user: [await enter(user) for _ in range(3)] for user in (ann, bob)}

    async def talk(user: User, number: int) -> None:
        socket = sockets[user][number]
        for _ in range(10):
            await socket.send({"type": "send", "body": f"by {user.pk}"})
        told = 0
        while told < 10:  # pushes of what others say come in between
            told += (await socket.receive())["type"] == "sent"

    await asyncio.gather(*(talk(user, number) for user in (ann, bob) for number in range(3)))
    events = await sent()

    assert len(events) == 60
    assert all(event.changes["body"] == f"by {event.actor_id}" for event in events)
    assert len({event.request_id for event in events}) == 60


async def test_each_delivery_leads_back_to_the_frame_that_said_it(
    enter: Enter, room: Room, ann: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, str, int]] = []
    tell = ChatConsumer.tell

    async def note(self: ChatConsumer, text: str) -> None:
        if '"type":"message.created"' in text:
            context = current()
            heard.append((context.request_id, context.trace_id, self.access.user.pk))
        await tell(self, text)

    hers, his = await enter(ann), await enter(bob)
    for socket in (hers, his):
        await socket.receive()
    monkeypatch.setattr(ChatConsumer, "tell", note)
    await hers.send({"type": "send", "body": "Hello"})
    assert (await his.receive())["type"] == "message.created"
    while (await hers.receive())["type"] != "message.created":
        pass
    (event,) = await sent()

    assert sorted(pk for _, _, pk in heard) == sorted([ann.pk, bob.pk])
    assert {(request_id, trace_id) for request_id, trace_id, _ in heard} == {(event.request_id, event.trace_id)}
