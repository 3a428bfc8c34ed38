"""What is unread is told to open pages of the whole site, while it happens."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.db import connections
from django.urls import path

from accounts.models import User
from chat import actions, news
from chat.models import Room
from chat.queries import unread_of, unread_of_people
from notifications.consumers import NotificationConsumer
from notifications.visitors import visitors
from tests.notifications.client import SocketClient

pytestmark = pytest.mark.django_db(transaction=True)
Visit = Callable[[User], Awaitable[SocketClient]]


@pytest.fixture
async def visit(transactional_db: None) -> AsyncIterator[Visit]:
    """Return a function that opens a page of the site for somebody."""
    opened: list[SocketClient] = []
    app = URLRouter([path("ws/notifications/", NotificationConsumer.as_asgi())])

    async def open_page(user: User) -> SocketClient:
        socket = SocketClient(app, "/ws/notifications/", user)
        opened.append(socket)
        await socket.connect()
        assert (await socket.receive())["type"] == "state"
        return socket

    yield open_page
    for socket in opened:
        await socket.disconnect()
    await database_sync_to_async(connections.close_all)()


async def told(page: SocketClient) -> list[dict[str, Any]]:
    """Return the next that a page is told of rooms."""
    while (frame := await page.receive())["type"] != "chat.unread":
        assert frame["type"] in ("notification", "state")
    rooms: list[dict[str, Any]] = frame["rooms"]
    return rooms


@database_sync_to_async
def say(room: Room, user: User, *bodies: str) -> None:
    for body in bodies:
        actions.send_message(room, actor=user, body=body)


@pytest.fixture
def cave(ann: User, bob: User) -> Room:
    room = actions.create_room(actor=ann, name="The cave")
    actions.add_member(room, bob, actor=ann)
    return room


async def test_what_is_said_elsewhere_is_counted_on_all_pages_of_those_whom_it_concerns(
    visit: Visit, cave: Room, room: Room, ann: User, bob: User
) -> None:
    stranger = await database_sync_to_async(User.objects.create_user)("eve", password="x")
    pages = [await visit(bob), await visit(bob)]
    hers, strangers = await visit(ann), await visit(stranger)
    await say(cave, ann, "one", "two for @bob", "three")
    for page in pages:
        counts = await told(page)
        while counts[0]["unread"] != 3:  # it began to tell while more was said
            counts = await told(page)
        assert (counts[0]["room"], counts[0]["mentions"]) == ("the-cave", 1)
        assert counts == await database_sync_to_async(unread_of)(bob)
    assert (await told(hers))[0]["unread"] == 0
    # A room to which nobody here belongs is told to nobody; the cave not to those who may not know of it.
    await say(room, ann, "hello")
    await say(cave, ann, "four")
    counts = await told(pages[0])
    while counts[0]["unread"] != 4:
        counts = await told(pages[0])
    assert len(counts) == 1
    assert await strangers.receive_nothing()


async def test_what_is_read_in_a_room_is_read_on_other_pages_too(
    visit: Visit, cave: Room, ann: User, bob: User
) -> None:
    page = await visit(bob)
    await say(cave, ann, "one", "two")
    counts = await told(page)
    while counts[0]["unread"] != 2:
        counts = await told(page)
    await database_sync_to_async(actions.mark_read)(cave, counts[0]["last_sequence"], actor=bob)
    assert (await told(page))[0]["unread"] == 0


async def test_many_messages_are_told_together(
    visit: Visit, cave: Room, ann: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def counted(user_ids: list[int], room_ids: list[int]) -> dict[int, list[dict[str, object]]]:
        found = unread_of_people(user_ids, room_ids)
        looks.append(len(found))
        return found

    monkeypatch.setattr(news, "unread_of_people", counted)
    page = await visit(bob)
    begun = time.monotonic()
    await say(cave, ann, *(str(number) for number in range(40)))
    while (await told(page))[0]["unread"] != 40:
        pass
    assert len(looks) <= 2 + (time.monotonic() - begun) / (news.TOGETHER_SECONDS + news.PAUSE_SECONDS)


async def test_who_was_banned_is_told_nothing_more(visit: Visit, cave: Room, ann: User, bob: User) -> None:
    page = await visit(bob)
    await database_sync_to_async(actions.restrict)(bob, room=cave, kind="ban", reason="noise", actor=ann)
    await say(cave, ann, "Now we are among ourselves")
    assert await database_sync_to_async(unread_of_people)([bob.pk], [cave.pk]) == {}
    assert set(visitors().user_ids) == {bob.pk}
    await page.disconnect()
    assert visitors().user_ids == []
