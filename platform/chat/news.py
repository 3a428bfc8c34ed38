"""Tells people, on whichever page of the site they are, how much is unread in rooms that aren't open there.

That a room has something new is said once to each sockets' process, however many belong to it. The process counts for
those of its visitors whom it concerns, all together, at most once a second: a look at the database, whatever was said
and however many hear of it. What gets lost on the way is found by the pages' next question (`/api/chat/unread/`).
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from channels.layers import get_channel_layer

from accounts.sockets import in_database
from chat.queries import unread_of_people
from notifications.push import group_of, push_to_group
from notifications.visitors import Visitors

GROUP = "chat.news"
TOGETHER_SECONDS = 0.2  # what comes at once is told at once
PAUSE_SECONDS = 0.8
_SHARE = 4
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="chat-news")


def push_news(room_id: int) -> None:
    """Say that what is unread in a room has changed, for all that it concerns."""
    push_to_group(GROUP, {"type": "chat.news", "room": room_id})


def push_unread(user_id: int, unread: dict[str, object]) -> None:
    """Tell all pages of one person how much is unread in one room."""
    push_to_group(group_of(user_id), {"type": "page.told", "frame": frame_of([unread])})


def frame_of(rooms: list[dict[str, object]]) -> dict[str, Any]:
    """Return what a page is told."""
    return {"type": "chat.unread", "rooms": rooms}


async def follow(visitors: Visitors) -> None:
    """Hear of news, and tell visitors, until it's cancelled."""
    rooms: set[int] = set()
    has_news = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_hear(rooms, has_news))
        group.create_task(_tell(visitors, rooms, has_news))


async def _hear(rooms: set[int], has_news: asyncio.Event) -> None:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(GROUP, channel)
    try:
        while True:
            rooms.add((await layer.receive(channel))["room"])
            has_news.set()
    finally:
        await layer.group_discard(GROUP, channel)


async def _tell(visitors: Visitors, rooms: set[int], has_news: asyncio.Event) -> None:
    while True:
        await has_news.wait()
        await asyncio.sleep(TOGETHER_SECONDS)
        has_news.clear()
        changed = sorted(rooms)
        rooms.clear()
        begun = time.monotonic()
        told = await in_database(unread_of_people, visitors.user_ids, changed, executor=_THREAD)
        for user_id, unread in told.items():
            visitors.tell(user_id, frame_of(unread))
        # Where they are many it keeps the database busy for a fifth of the time at most.
        await asyncio.sleep(max(PAUSE_SECONDS, (time.monotonic() - begun) * _SHARE))
