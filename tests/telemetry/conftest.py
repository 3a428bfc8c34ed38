"""Spans of a test, as they would leave the process; and the sockets of one channel layer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from channels.layers import channel_layers
from django.conf import settings
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from config.channel_layer import ChannelLayer
from config.redis_urls import CHANNELS, with_database
from telemetry.context import Context, new_request_id
from telemetry.tracing import provider, records
from telemetry.tracing.work import Work
from tests.telemetry.broadcasting import Open
from tests.telemetry.sockets import CoreLayer, Listener, MemoryLayer, NewsSocket

Finished = Callable[[], list[dict[str, Any]]]


class _Kept(SpanExporter):
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.records += [records.of_span(span) for span in spans]
        return SpanExportResult.SUCCESS


@pytest.fixture
def finished_spans() -> Iterator[Finished]:
    """Return a function that gives the records of all spans finished so far in the test."""
    kept = _Kept()
    pipeline = provider.pipeline()
    pipeline.use_exporters([kept])

    def finished() -> list[dict[str, Any]]:
        pipeline.force_flush()
        return kept.records

    yield finished
    pipeline.use_default_exporters()


@contextmanager
def working() -> Iterator[Work]:
    """Run a block as one piece of work."""
    work = Work("GET", origin="http", sampled_as="/", request_id=new_request_id(), kind=SpanKind.SERVER, attributes={})
    work.enter(Context(request_id=work.request_id))
    try:
        yield work
    finally:
        work.leave()
        work.finish()


@pytest.fixture
def layer_options() -> dict[str, Any]:
    """What a module's layers are made with."""
    return {}


@pytest.fixture(params=["memory", "core", "pubsub"])
async def layer(request: pytest.FixtureRequest, servers: Any, layer_options: dict[str, Any]) -> AsyncIterator[Any]:
    """The layer of the test's consumers."""
    hosts = [with_database(settings.REDIS_URL, CHANNELS)]
    made: Any = {
        "memory": lambda: MemoryLayer(**layer_options),
        "core": lambda: CoreLayer(hosts=hosts, prefix="tests", **layer_options),
        "pubsub": lambda: ChannelLayer(hosts=hosts, prefix="tests", **layer_options),
    }[request.param]()
    old = channel_layers.set("default", made)
    yield made
    channel_layers.backends.pop("default")
    if old is not None:
        channel_layers.set("default", old)


@pytest.fixture
async def open_socket(layer: Any) -> AsyncIterator[Open]:
    """Return a function that opens a person's socket."""
    opened: list[NewsSocket] = []

    async def open_one(number: int, **options: Any) -> NewsSocket:
        socket = NewsSocket(number, **options)
        opened.append(socket)
        await socket.open()
        return socket

    yield open_one
    for socket in opened:
        await socket.disconnect()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Handlers of `news.slow` wait for it."""
    monkeypatch.setattr(Listener, "gate", asyncio.Event())
    monkeypatch.setattr(Listener, "waiting", asyncio.Semaphore(0))
    return Listener.gate  # type: ignore[return-value]
