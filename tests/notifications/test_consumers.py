"""The personal socket."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.sessions.backends.db import SessionStore

from accounts.models import User
from accounts.sockets import BURST_FRAMES, LONGEST_FRAME
from audit.models import Event
from notifications.delivery.actions import create_notification
from notifications.models import Notification
from notifications.visitors import visitors
from tests.notifications.client import SocketClient

pytestmark = pytest.mark.django_db(transaction=True)

Connect = Callable[..., Awaitable[SocketClient]]


@database_sync_to_async
def notify(user: User, title: str = "A comment") -> Notification:
    notification = create_notification(user, kind="comment", title=title, url="/blog/a-post/")
    assert notification is not None
    return notification


async def test_a_stranger_is_refused(connect: Connect) -> None:
    socket = await connect(None)
    closed = await socket.receive_event()
    assert (closed["type"], closed["code"]) == ("websocket.close", 4401)


async def test_it_tells_the_unread_count_at_first(connect: Connect, author: User) -> None:
    await notify(author)
    socket = await connect(author)
    assert await socket.receive() == {"type": "state", "unread": 1}


async def test_a_notification_arrives_with_the_count(connect: Connect, author: User, reader: User) -> None:
    socket = await connect(author)
    other = await connect(reader)
    assert (await socket.receive())["unread"] == 0
    await other.receive()
    notification = await notify(author, "<b>Hello</b>")
    message = await socket.receive()
    assert message == {"type": "notification", "notification": notification.as_message(), "unread": 1}
    assert message["notification"]["title"] == "<b>Hello</b>"
    assert await other.receive_nothing()


async def test_marking_read_is_told_to_every_tab(connect: Connect, author: User) -> None:
    first, second = await notify(author), await notify(author)
    here, there = await connect(author), await connect(author)
    for socket in (here, there):
        assert (await socket.receive())["unread"] == 2
    await here.send({"type": "mark_read", "id": first.pk})
    for socket in (here, there):
        assert await socket.receive() == {"type": "state", "unread": 1, "read": [first.pk]}
    await there.send({"type": "mark_all_read"})
    for socket in (here, there):
        assert await socket.receive() == {"type": "state", "unread": 0, "read": [second.pk]}


async def test_a_group_grows_in_place_and_counts_as_one(connect: Connect, author: User) -> None:
    def comment(number: int) -> None:
        about = {"topic": "blog.post-1", "topic_title": "“Clocks”"}
        create_notification(author, kind="comment", title=f"Comment {number}", url="/", **about)

    socket = await connect(author)
    await socket.receive()
    for number in range(3):
        await database_sync_to_async(comment)(number)
    first, _, third = [await socket.receive() for _ in range(3)]
    assert first["notification"]["id"] == third["notification"]["id"]
    assert (third["notification"]["title"], third["notification"]["count"]) == ("3 comments on “Clocks”", 3)
    assert third["unread"] == 1


async def test_two_tabs_that_mark_at_the_same_time_end_with_the_same_exact_count(
    connect: Connect, author: User
) -> None:
    notifications = [await notify(author, f"Comment {number}") for number in range(8)]
    tabs = await connect(author), await connect(author)
    for tab in tabs:
        assert (await tab.receive())["unread"] == 8
    # Both mark the same ones and ones of their own, while others still come.
    marks = [[0, 1, 2, 3], [3, 2, 4, 5]]
    await asyncio.gather(
        *(
            tab.send({"type": "mark_read", "id": notifications[number].pk})
            for tab, numbers in zip(tabs, marks, strict=True)
            for number in numbers
        ),
        notify(author, "Meanwhile"),
    )
    read = {notifications[number].pk for numbers in marks for number in numbers}
    for tab in tabs:
        seen: set[int] = set()
        messages = []
        while seen != read or not any(message["type"] == "notification" for message in messages):
            messages.append(await tab.receive())
            seen |= set(messages[-1].get("read", []))
        assert messages[-1]["unread"] == 3
        assert [pk for message in messages for pk in message.get("read", [])].count(notifications[3].pk) == 1
    await tabs[0].send({"type": "mark_all_read"})
    await tabs[1].send({"type": "mark_all_read"})
    for tab in tabs:
        assert (await tab.receive())["unread"] == 0
        assert await tab.receive_nothing()


async def test_someone_elses_notification_is_not_found_and_the_denial_recorded(
    connect: Connect, author: User, reader: User
) -> None:
    notification = await notify(author)
    socket = await connect(reader)
    await socket.receive()
    await socket.send({"type": "mark_read", "id": notification.pk})
    error = await socket.receive()
    assert (error["type"], error["title"]) == ("error", "Not found")
    await database_sync_to_async(notification.refresh_from_db)()
    assert notification.read_at is None
    denial = await Event.objects.aget(outcome="denied")
    assert denial.action == "notifications.notification.read"
    assert (denial.actor_label, denial.request_id) == ("reader", error["request_id"])


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "",
        "[]",
        "null",
        "[" * 10_000,
        '{"type": "nonsense"}',
        '{"type": ["mark_read"]}',
        '{"type": "mark_read"}',
        '{"type": "mark_read", "id": "1"}',
        '{"type": "mark_read", "id": true}',
        '{"type": "mark_read", "id": 1e400}',
        json.dumps({"type": "mark_read", "id": 2**63}),
    ],
)
async def test_a_bad_frame_gets_an_error_and_the_socket_stays(connect: Connect, author: User, text: str) -> None:
    socket = await connect(author)
    await socket.receive()
    await socket.send_frame(text=text)
    error = await socket.receive()
    assert error["type"] == "error"
    assert error["title"]
    assert error["detail"]
    assert len(error["request_id"]) == 32
    await socket.send({"type": "mark_all_read"})
    assert await socket.receive_nothing()  # nothing was unread, so nothing changed


async def test_bytes_are_refused(connect: Connect, author: User) -> None:
    socket = await connect(author)
    await socket.receive()
    await socket.send_frame(bytes=b"\xff\x00")
    assert (await socket.receive())["title"] == "Not text"


async def test_a_huge_frame_closes_the_socket(connect: Connect, author: User) -> None:
    socket = await connect(author)
    await socket.receive()
    await socket.send_frame(text="x" * (LONGEST_FRAME + 1))
    assert (await socket.receive_event())["code"] == 1009


async def test_a_flood_is_cut_off(connect: Connect, author: User) -> None:
    socket = await connect(author)
    await socket.receive()
    for _ in range(BURST_FRAMES * 3):
        await socket.send_frame(text="{}")
    titles = []
    while (output := await socket.receive_event())["type"] == "websocket.send":
        titles.append(json.loads(output["text"])["title"])
    assert titles[-1] == "Too many frames"
    assert output["code"] == 1008
    assert len(titles) < BURST_FRAMES * 2


@database_sync_to_async
def _end_session(user: User, session: SessionStore) -> None:
    session.flush()


@database_sync_to_async
def _close_account(user: User, session: SessionStore) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize("happens", [_end_session, _close_account])
async def test_whoever_logs_out_is_told_nothing_more(
    connect: Connect, author: User, happens: Callable[[User, SessionStore], Awaitable[None]]
) -> None:
    session = SessionStore()
    await database_sync_to_async(session.create)()
    socket, staying = await connect(author, session), await connect(await User.objects.acreate(username="other"))
    for one in (socket, staying):
        await one.receive()
    await visitors().look()
    assert await socket.receive_nothing()
    await happens(author, session)
    await visitors().look()
    assert (await socket.receive_event())["code"] == 4401
    assert await staying.receive_nothing()
    assert len(visitors().user_ids) == 1


async def test_a_person_has_so_many_pages_and_no_more(connect: Connect, author: User, settings: Any) -> None:
    settings.NOTIFICATIONS_SOCKETS_OF_USER = 2
    first, second = await connect(author), await connect(author)
    for socket in (first, second):
        assert (await socket.receive())["type"] == "state"
    for _ in range(2):
        assert (await (await connect(author)).receive_event())["code"] == 1008
    assert await Event.objects.filter(action="notifications.socket.opened", outcome="denied").acount() == 1
    await first.disconnect()
    assert (await (await connect(author)).receive())["type"] == "state"
