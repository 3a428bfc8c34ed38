"""What comes by a socket is told of the person at its other end, each message as a request of its own."""

import asyncio
from collections.abc import Awaitable, Callable

from channels.db import database_sync_to_async

from accounts.models import User
from audit.models import Event
from chat.models import Room
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
