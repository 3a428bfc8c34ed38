"""Views of the tests' own, under `/t/`."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import include, path

from telemetry.database import repeats


def fine(request: HttpRequest, number: int = 0) -> HttpResponse:
    return HttpResponse(b"fine")


def broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("broken view")


async def waiting(request: HttpRequest) -> HttpResponse:
    await asyncio.Event().wait()  # for a client that doesn't
    return HttpResponse()


def repeating(request: HttpRequest, count: int) -> HttpResponse:
    for number in range(count):
        Group.objects.filter(pk=number).first()
    return HttpResponse()


def many_alike(request: HttpRequest, count: int) -> HttpResponse:
    """Do the same for each of many, with one query each."""
    for number in range(count):
        repeats.begin_anew()
        Group.objects.filter(pk=number).exists()
    return HttpResponse("ok")


def repeating_in_a_template(request: HttpRequest) -> HttpResponse:
    def groups() -> Iterator[Group | None]:
        for number in range(20):
            yield Group.objects.filter(pk=number).first()

    return render(request, "telemetry_test/repeating.html", {"groups": groups})


def committing(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        Group.objects.create(name="committed")
    return HttpResponse()


def rolling_back(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        Group.objects.create(name="rolled back")
        transaction.set_rollback(True)
    return HttpResponse()


def iterating(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        names = [group.name for group in Group.objects.order_by("pk").iterator(chunk_size=2)]
    return HttpResponse(",".join(names))


def failing_statement(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM there_is_no_such_table")
    return HttpResponse()


def streaming(request: HttpRequest) -> StreamingHttpResponse:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        Group.objects.count()
        yield b"two"

    return StreamingHttpResponse(chunks())


def breaking_stream(request: HttpRequest) -> StreamingHttpResponse:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise ValueError("broken stream")

    return StreamingHttpResponse(chunks())


async def async_streaming(request: HttpRequest) -> StreamingHttpResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.Event().wait()

    return StreamingHttpResponse(chunks())


urlpatterns: list[Any] = [
    path("t/fine/", fine),
    path("t/fine/<int:number>/", fine),
    path("t/broken/", broken),
    path("t/waiting/", waiting),
    path("t/repeating/<int:count>/", repeating),
    path("t/alike/<int:count>/", many_alike),
    path("t/template/", repeating_in_a_template),
    path("t/committing/", committing),
    path("t/rolling-back/", rolling_back),
    path("t/iterating/", iterating),
    path("t/failing-statement/", failing_statement),
    path("t/streaming/", streaming),
    path("t/breaking-stream/", breaking_stream),
    path("t/async-streaming/", async_streaming),
    path("", include("config.urls")),
]
handler500 = "config.error_views.server_error"
