"""Async views and whatever else coroutines do is told of the right person, also across into threads and back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient
from django.urls import include, path

import audit
from accounts.models import User
from audit.models import Event
from chat.models import Room
from telemetry.context import Actor, Context, new_request_id, use

pytestmark = pytest.mark.django_db(transaction=True)


async def write_in_a_coroutine(request: HttpRequest, slug: str) -> HttpResponse:
    await Room.objects.acreate(slug=slug, name="x")
    await asyncio.gather(*(Room.objects.acreate(slug=f"{slug}-{number}", name="x") for number in range(3)))
    await sync_to_async(write_in_a_transaction)(f"{slug}-atomic")
    return HttpResponse("done")


def write_in_a_transaction(slug: str) -> None:
    with transaction.atomic():
        Room.objects.create(slug=slug, name="x")


async def write_while_streaming_in_a_coroutine(request: HttpRequest) -> StreamingHttpResponse:
    async def rows() -> AsyncIterator[bytes]:
        for number in range(3):
            await Room.objects.acreate(slug=f"streamed-{number}", name="x")
            yield b"row\n"

    return StreamingHttpResponse(rows())


async def push_first(request: HttpRequest) -> HttpResponse:
    from channels.layers import get_channel_layer

    await get_channel_layer().group_send("nobody", {"type": "nothing.happened"})
    await Room.objects.acreate(slug="pushed", name="x")
    return HttpResponse("done")


urlpatterns = [
    path("", include("config.urls")),
    path("coroutine/<slug:slug>/", write_in_a_coroutine),
    path("stream/", write_while_streaming_in_a_coroutine),
    path("push/", push_first),
]


@pytest.fixture
def reader() -> User:
    return User.objects.create_user("reader", password="right-horse-9")


def rooms() -> dict[str, Event]:
    return {event.changes["slug"]: event for event in Event.objects.filter(action="chat.room.created")}


def told(event: Event) -> tuple[str, str, str, str]:
    return event.actor_type, event.actor_id, event.actor_label, event.origin


@pytest.fixture
async def browser(transactional_db: None) -> AsyncIterator[AsyncClient]:
    yield AsyncClient()
    await sync_to_async(connections.close_all)()


@pytest.mark.urls(__name__)
async def test_async_views_name_the_session_and_the_stranger(browser: AsyncClient, reader: User) -> None:
    await browser.aforce_login(reader)
    one, two = await asyncio.gather(
        browser.post("/coroutine/mine/", headers={"X-Audit-Reason": "mine"}), AsyncClient().post("/coroutine/theirs/")
    )
    events = await sync_to_async(rooms)()

    assert len(events) == 10
    for slug, event in events.items():
        if slug.startswith("mine"):
            assert told(event) == ("user", str(reader.pk), "reader", "http")
            assert (event.request_id, event.context["reason"]) == (one["X-Request-ID"], "mine")
        else:
            assert (event.actor_type, event.actor_id or "", event.request_id) == ("anonymous", "", two["X-Request-ID"])
            assert "reason" not in event.context


@pytest.mark.urls(__name__)
async def test_an_async_response_that_writes_while_it_streams_is_named(browser: AsyncClient, reader: User) -> None:
    await browser.aforce_login(reader)
    answer = await browser.post("/stream/")
    assert [chunk async for chunk in answer] == [b"row\n"] * 3  # type: ignore[attr-defined]
    events = await sync_to_async(rooms)()

    assert {(*told(event), event.request_id) for event in events.values()} == {
        ("user", str(reader.pk), "reader", "http", answer["X-Request-ID"])
    }


@pytest.mark.urls(__name__)
async def test_a_push_from_an_async_view_does_not_need_the_user_loaded(
    browser: AsyncClient, reader: User, servers: Any
) -> None:
    await browser.aforce_login(reader)
    answer = await browser.post("/push/")

    assert answer.status_code == 200
    assert told((await sync_to_async(rooms)())["pushed"])[2] == "reader"


async def test_crossing_between_sync_and_async_code_keeps_the_actor(browser: AsyncClient) -> None:
    async def deeper(slug: str) -> None:
        await Room.objects.acreate(slug=slug, name="x")

    def middle(slug: str) -> None:
        Room.objects.create(slug=f"{slug}-middle", name="x")
        async_to_sync(deeper)(f"{slug}-deep")

    async def act(name: str) -> None:
        with use(Context(request_id=new_request_id(), actor_source=Actor("user", name))):
            await sync_to_async(middle)(name)
            await asyncio.create_task(deeper(f"{name}-task"))
            with audit.reason(f"of {name}"):
                await deeper(f"{name}-reason")

    names = [f"user-{number}" for number in range(10)]
    await asyncio.gather(*map(act, names))
    events = await sync_to_async(rooms)()

    assert len(events) == 40
    assert all(slug.startswith(f"{event.actor_id}-") for slug, event in events.items())
    assert {slug: event.context.get("reason") for slug, event in events.items() if "reason" in event.context} == {
        f"{name}-reason": f"of {name}" for name in names
    }
