"""Sockets: handshakes, messages of browsers, and broadcasts from their sending to every consumer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from channels.layers import channel_layers
from django.conf import settings

from config.channel_layer import ChannelLayer
from config.redis_urls import CHANNELS, with_database
from telemetry import context
from telemetry.channels import CARRIER, broadcasts, layers
from telemetry.channels.routes import route_of
from telemetry.context import Actor, Context
from telemetry.metrics import exposed_registry
from telemetry.tracing import sampling
from telemetry.tracing.work import Work, running
from tests.conftest import WaitUntil
from tests.telemetry.conftest import Finished
from tests.telemetry.sockets import GROUP, CoreLayer, Listener, MemoryLayer, NewsSocket

Open = Callable[..., Awaitable[NewsSocket]]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
CAUSE = Context(request_id="cause-12345678", origin="http", actor_source=Actor("user", "1", "somebody"))
ROUTE = "/ws/news/<topic>/"


@pytest.fixture(params=["memory", "core", "pubsub"])
async def layer(request: pytest.FixtureRequest, servers: Any) -> AsyncIterator[Any]:
    """The layer of the test's consumers."""
    hosts = [with_database(settings.REDIS_URL, CHANNELS)]
    made: Any = {
        "memory": lambda: MemoryLayer(),
        "core": lambda: CoreLayer(hosts=hosts, prefix="tests"),
        "pubsub": lambda: ChannelLayer(hosts=hosts, prefix="tests"),
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


def value(name: str, **labels: str) -> float:
    return exposed_registry().get_sample_value(name, labels) or 0.0


def named(spans: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [span for span in spans if span["name"] == name]


async def send_as_request(layer: Any, message: dict[str, Any]) -> Work:
    """Send to the group from within a request, and return its piece of work."""
    work = Work(
        "GET", origin="http", sampled_as="/", request_id=CAUSE.request_id, kind=layers.SpanKind.SERVER, attributes={}
    )
    work.enter(CAUSE)
    try:
        await layer.group_send(GROUP, message)
    finally:
        work.leave()
        work.finish()
    return work


# --- broadcasts ----------------------------------------------------------------------------------------------------


async def test_every_recipient_gets_the_context_of_the_cause_and_a_message_without_it(
    open_socket: Open, layer: Any
) -> None:
    sockets = [await open_socket(number) for number in range(3)]
    await send_as_request(layer, {"type": "news.told", "text": "hello"})
    for socket in sockets:
        heard = await socket.receive()
        assert (heard["request_id"], heard["actor"]) == ("cause-12345678", "somebody")
        assert heard["operation"] == f"WEBSOCKET {ROUTE}"
        assert heard["event"] == {"type": "news.told", "text": "hello"}


async def test_all_deliveries_of_a_broadcast_are_one_span_below_its_sending(
    open_socket: Open, layer: Any, finished_spans: Finished
) -> None:
    sockets = [await open_socket(number) for number in range(3)]
    work = await send_as_request(layer, {"type": "news.told"})
    for socket in sockets:
        await socket.receive()
        await socket.disconnect()

    (sending,) = named(finished_spans(), "group_send news.told")
    (delivery,) = named(finished_spans(), "deliver news.told")
    assert (sending["kind"], sending["trace_id"], sending["parent_id"]) == ("producer", work.trace_id, work.span_id)
    assert sending["attributes"]["messaging.destination.name"] == GROUP
    assert (delivery["kind"], delivery["trace_id"], delivery["parent_id"]) == (
        "consumer",
        work.trace_id,
        sending["span_id"],
    )
    assert delivery["request_id"] == CAUSE.request_id
    told = delivery["attributes"]
    assert [told[f"broadcast.{key}"] for key in ("recipients", "delivered", "failed", "dropped")] == [3, 3, 0, 0]
    assert sorted(told["broadcast.recipient_ids"]) == ["0", "1", "2"]
    assert len(told["broadcast.latencies_ms"]) == len(told["broadcast.handlers_ms"]) == 3
    figures = [told[f"broadcast.latency.{key}_ms"] for key in ("first", "median", "p99", "last")]
    assert figures == sorted(figures)
    assert (figures[0], figures[-1]) == (min(told["broadcast.latencies_ms"]), max(told["broadcast.latencies_ms"]))
    assert 0 < figures[-1] < 60_000
    assert len(told["broadcast.slowest"]) == 3
    assert sending["start_ns"] <= delivery["start_ns"] <= delivery["end_ns"]


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_broadcast_is_told_soon_though_its_sockets_stay_open(
    open_socket: Open, layer: Any, finished_spans: Finished, wait_until: WaitUntil
) -> None:
    socket = await open_socket(1)
    await send_as_request(layer, {"type": "news.told"})
    await socket.receive()
    await asyncio.to_thread(wait_until, lambda: named(finished_spans(), "deliver news.told"))


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_who_is_told_is_bounded_and_who_is_counted_is_not(
    open_socket: Open, layer: Any, finished_spans: Finished
) -> None:
    sockets = [await open_socket(number) for number in range(60)]
    before = value("channel_layer_delivery_seconds_count")
    await send_as_request(layer, {"type": "news.told"})
    for socket in sockets:
        await socket.receive()
        await socket.disconnect()
    (delivery,) = named(finished_spans(), "deliver news.told")
    told = delivery["attributes"]
    assert (told["broadcast.recipients"], told["broadcast.delivered"]) == (60, 60)
    assert len(told["broadcast.recipient_ids"]) == len(told["broadcast.latencies_ms"]) == 50
    assert len(told["broadcast.slowest"]) == 5
    assert value("channel_layer_delivery_seconds_count") == before + 60


async def test_a_message_for_one_channel_is_a_child_of_its_sending(
    open_socket: Open, layer: Any, finished_spans: Finished
) -> None:
    socket = await open_socket(7)
    with context.use(CAUSE):
        await layer.send(socket.channel, {"type": "news.told"})
    heard = await socket.receive()
    await socket.disconnect()
    (sending,) = named(finished_spans(), "send news.told")
    (delivery,) = named(finished_spans(), "deliver news.told")
    assert heard["request_id"] == CAUSE.request_id == sending["request_id"] == delivery["request_id"]
    assert (delivery["parent_id"], delivery["trace_id"]) == (sending["span_id"], sending["trace_id"])
    assert sending["attributes"]["messaging.destination.name"] == "channel"
    assert delivery["attributes"]["recipient.user.id"] == "7"
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    assert delivery["links"] == [{"trace_id": handshake["trace_id"], "span_id": handshake["span_id"]}]


@pytest.mark.parametrize("layer", ["pubsub"], indirect=True)
async def test_a_group_of_one_names_its_one_recipient(open_socket: Open, layer: Any, finished_spans: Finished) -> None:
    socket = await open_socket(7)
    await send_as_request(layer, {"type": "news.told"})
    await socket.receive()
    await socket.disconnect()
    (delivery,) = named(finished_spans(), "deliver news.told")
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    assert delivery["attributes"]["recipient.user.id"] == "7"
    assert delivery["links"] == [{"trace_id": handshake["trace_id"], "span_id": handshake["span_id"]}]


@pytest.mark.parametrize("layer", ["pubsub"], indirect=True)
async def test_two_broadcasts_at_once_are_told_apart(open_socket: Open, layer: Any, finished_spans: Finished) -> None:
    sockets = [await open_socket(number) for number in range(2)]
    for number in range(2):
        with context.use(Context(request_id=f"request-{number}", origin="http")):
            await layer.group_send(GROUP, {"type": "news.told", "number": number})
    for socket in sockets:
        heard = [await socket.receive() for _ in range(2)]
        assert [one["request_id"] for one in heard] == ["request-0", "request-1"]
        await socket.disconnect()
    deliveries = named(finished_spans(), "deliver news.told")
    assert sorted(span["request_id"] for span in deliveries) == ["request-0", "request-1"]
    assert [span["attributes"]["broadcast.recipients"] for span in deliveries] == [2, 2]


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
@pytest.mark.django_db(transaction=True)
async def test_statements_of_handlers_lie_below_the_broadcast(
    open_socket: Open, layer: Any, finished_spans: Finished
) -> None:
    sockets = [await open_socket(number) for number in range(3)]
    await send_as_request(layer, {"type": "news.counted"})
    for socket in sockets:
        await socket.receive()
        await socket.disconnect()
    (delivery,) = named(finished_spans(), "deliver news.counted")
    below = [span for span in finished_spans() if span["parent_id"] == delivery["span_id"]]
    assert [span["attributes"].get("db.operation.name") for span in below].count("SELECT") == 3
    assert delivery["attributes"]["db.statements"] == 3


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_handler_that_fails_is_told_and_the_others_deliver(
    open_socket: Open, layer: Any, finished_spans: Finished, settings: Any
) -> None:
    settings.TELEMETRY_SAMPLE_RATIO = 0.0  # failures are kept all the same
    sampling.forget()
    try:
        sockets = [await open_socket(number) for number in range(3)]
        await send_as_request(layer, {"type": "news.failing", "fails_for": 1})
        for number in (0, 2):
            await sockets[number].receive()
        assert isinstance(await sockets[1].failure(), RuntimeError)
        for number in (0, 2):
            await sockets[number].disconnect()
    finally:
        sampling.forget()
    (delivery,) = named(finished_spans(), "deliver news.failing")
    told = delivery["attributes"]
    assert [told[f"broadcast.{key}"] for key in ("recipients", "delivered", "failed")] == [3, 2, 1]
    assert (delivery["status"], told["sampling.decision"]) == ("error", "error")
    assert delivery["events"][0]["attributes"]["exception.type"] == "RuntimeError"


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_what_is_not_sampled_leaves_no_span_but_counts(
    open_socket: Open, layer: Any, finished_spans: Finished, settings: Any
) -> None:
    settings.TELEMETRY_SAMPLE_RATIO = 0.0
    sampling.forget()
    before = value("channel_layer_delivery_seconds_count")
    try:
        socket = await open_socket(1)
        await send_as_request(layer, {"type": "news.told"})
        await socket.receive()
        await socket.disconnect()
    finally:
        sampling.forget()
    assert finished_spans() == []
    assert value("channel_layer_delivery_seconds_count") == before + 1


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_connection_that_is_cancelled_in_a_handler_leaves_nothing_open(
    open_socket: Open, layer: Any, finished_spans: Finished, gate: asyncio.Event
) -> None:
    before = value("websocket_server_active_connections", http_route=ROUTE)
    socket = await open_socket(1)
    assert value("websocket_server_active_connections", http_route=ROUTE) == before + 1
    await send_as_request(layer, {"type": "news.slow", "waits_for": 1})
    await asyncio.wait_for(Listener.waiting.acquire(), 60)  # type: ignore[union-attr]
    await socket.cut()
    (delivery,) = named(finished_spans(), "deliver news.slow")
    told = delivery["attributes"]
    assert [told[f"broadcast.{key}"] for key in ("recipients", "delivered", "cancelled")] == [1, 0, 1]
    assert delivery["status"] == "ok"
    assert value("websocket_server_active_connections", http_route=ROUTE) == before
    assert broadcasts.here() is None
    assert running() is None


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_handler_that_hangs_does_not_keep_the_others_untold(
    open_socket: Open,
    layer: Any,
    finished_spans: Finished,
    gate: asyncio.Event,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: WaitUntil,
) -> None:
    monkeypatch.setattr(broadcasts, "_LONGEST_SECONDS", 0.3)
    sockets = [await open_socket(number) for number in range(2)]
    await send_as_request(layer, {"type": "news.slow", "waits_for": 1})
    await sockets[0].receive()
    await asyncio.to_thread(wait_until, lambda: named(finished_spans(), "deliver news.slow"))
    (delivery,) = named(finished_spans(), "deliver news.slow")
    told = delivery["attributes"]
    assert [told[f"broadcast.{key}"] for key in ("recipients", "delivered", "unfinished")] == [2, 1, 1]
    gate.set()
    assert (await sockets[1].receive())["request_id"] == CAUSE.request_id


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_open_broadcasts_are_bounded_and_all_are_told(
    open_socket: Open, layer: Any, finished_spans: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcasts, "_MOST_OPEN", 2)
    socket = await open_socket(1)
    for _ in range(5):
        await send_as_request(layer, {"type": "news.told"})
        await socket.receive()
    assert len(broadcasts.here()._open) == 2  # type: ignore[union-attr]
    await socket.disconnect()
    assert len(named(finished_spans(), "deliver news.told")) == 5


# --- sendings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_push_that_outlives_its_request_is_still_told_below_it(
    open_socket: Open, layer: Any, finished_spans: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwarded = MemoryLayer.forward
    work = Work(
        "GET", origin="http", sampled_as="/", request_id=CAUSE.request_id, kind=layers.SpanKind.SERVER, attributes={}
    )

    async def finish_first(self: Any, *args: Any) -> None:
        work.finish()
        await forwarded(self, *args)

    monkeypatch.setattr(MemoryLayer, "forward", finish_first)
    work.enter(CAUSE)
    await layer.group_send(GROUP, {"type": "news.told"})  # over during the sending
    await layer.group_send(GROUP, {"type": "news.late"})  # over before
    work.leave()
    for name in ("group_send news.told", "group_send news.late"):
        (sending,) = named(finished_spans(), name)
        assert (sending["trace_id"], sending["parent_id"]) == (work.trace_id, work.span_id)
        assert sending["request_id"] == CAUSE.request_id
        assert sending["start_ns"] <= sending["end_ns"]


@pytest.mark.parametrize("layer", ["core", "pubsub"], indirect=True)
async def test_a_sending_that_fails_is_told_and_raises(layer: Any, finished_spans: Finished) -> None:
    await layer.group_add(GROUP, await layer.new_channel())
    with pytest.raises(TypeError):
        await layer.group_send(GROUP, {"type": "news.told", "what": object()})
    (sending,) = named(finished_spans(), "group_send news.told")
    assert (sending["status"], sending["status_detail"]) == ("error", "TypeError")


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_fault_of_the_hooks_costs_the_telemetry_alone(
    open_socket: Open, layer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_it(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("telemetry's own fault")

    socket = await open_socket(1)
    before = {hook: value("telemetry_faults_total", hook=f"channels.{hook}") for hook in ("send", "dispatch")}
    with monkeypatch.context() as broken:
        broken.setattr(layers, "carrier_of", break_it)
        await layer.group_send(GROUP, {"type": "news.told", "text": "unwatched"})
        assert (await socket.receive())["event"] == {"type": "news.told", "text": "unwatched"}
    with monkeypatch.context() as broken:
        broken.setattr(broadcasts.Broadcasts, "of", break_it)
        await layer.group_send(GROUP, {"type": "news.told", "text": "unwatched too"})
        assert (await socket.receive())["event"] == {"type": "news.told", "text": "unwatched too"}
    for hook, count in before.items():
        assert value("telemetry_faults_total", hook=f"channels.{hook}") == count + 1


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
@pytest.mark.parametrize("carrier", [7, "text", {"un": "hashable"}, "[]", '{"broadcast": "x", "sent_at": "never"}'])
async def test_a_broken_carrier_breaks_no_delivery(open_socket: Open, layer: Any, carrier: object) -> None:
    socket = await open_socket(1)
    await layer.forward("group_send", GROUP, {"type": "news.told", CARRIER: carrier})
    assert (await socket.receive())["event"] == {"type": "news.told"}


async def test_messages_are_not_changed_by_their_sending(layer: Any) -> None:
    message = {"type": "news.told"}
    await layer.group_send(GROUP, message)
    assert message == {"type": "news.told"}


# --- handshakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_the_handshakes_span_ends_when_the_socket_is_accepted(
    open_socket: Open, layer: Any, finished_spans: Finished
) -> None:
    await open_socket(7)
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    assert handshake["kind"] == "server"
    assert handshake["attributes"]["url.path"] == "/ws/news/all/"
    assert handshake["attributes"]["websocket.handshake.outcome"] == "accepted"
    assert handshake["attributes"]["user.id"] == "7"


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_refused_handshake_has_a_span_and_no_gauge(
    layer: Any, finished_spans: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: Listener) -> None:
        await self.close(4403)

    monkeypatch.setattr(Listener, "connect", refuse)
    before = value("websocket_server_active_connections", http_route=ROUTE)
    closed = value("websocket_server_connection_duration_seconds_count", http_route=ROUTE, websocket_close_code="4403")
    socket = NewsSocket(1)
    await socket._communicator.send_input({"type": "websocket.connect"})
    assert (await socket.receive_event())["type"] == "websocket.close"
    await socket.close_with(1006)
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    assert handshake["attributes"]["websocket.handshake.outcome"] == "refused"
    assert handshake["status"] == "ok"  # as an HTTP 403's is: it's the answer that was meant
    assert value("websocket_server_active_connections", http_route=ROUTE) == before
    assert (
        value("websocket_server_connection_duration_seconds_count", http_route=ROUTE, websocket_close_code="4403")
        == closed + 1
    )


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_handshake_that_fails_is_an_error(
    layer: Any, finished_spans: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Listener) -> None:
        raise RuntimeError("a handler's own fault")

    monkeypatch.setattr(Listener, "connect", fail)
    socket = NewsSocket(1)
    await socket._communicator.send_input({"type": "websocket.connect"})
    assert isinstance(await socket.failure(), RuntimeError)
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    assert handshake["status"] == "error"
    assert handshake["attributes"]["websocket.handshake.outcome"] == "failed"
    assert broadcasts.here() is None


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_strangers_trace_is_linked_but_not_joined(
    open_socket: Open, layer: Any, finished_spans: Finished
) -> None:
    headers = [(b"traceparent", TRACEPARENT), (b"x-request-id", b"given-by-stranger")]
    await open_socket(1, headers=headers, peer="203.0.113.9")
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    assert handshake["trace_id"] != TRACE
    assert handshake["links"] == [{"trace_id": TRACE, "span_id": "00f067aa0ba902b7"}]
    assert handshake["request_id"] != "given-by-stranger"


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_trusted_trace_is_joined(open_socket: Open, layer: Any, finished_spans: Finished) -> None:
    headers = [(b"traceparent", TRACEPARENT), (b"x-request-id", b"given-by-proxy-1")]
    await open_socket(1, headers=headers)
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    assert (handshake["trace_id"], handshake["parent_id"]) == (TRACE, "00f067aa0ba902b7")
    assert handshake["request_id"] == "given-by-proxy-1"


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
@pytest.mark.parametrize(("code", "label"), [(1001, "1001"), (4999, "_OTHER")])
async def test_close_codes_are_bounded(open_socket: Open, layer: Any, code: int, label: str) -> None:
    def count() -> float:
        name = "websocket_server_connection_duration_seconds_count"
        return value(name, http_route=ROUTE, websocket_close_code=label)

    before = count()
    socket = await open_socket(1)
    await socket.close_with(code)
    assert count() == before + 1


@pytest.mark.parametrize(
    ("path", "given", "route"),
    [
        ("/ws/news/all/", {"kwargs": {"topic": "all"}}, "/ws/news/<topic>/"),
        ("/ws/chat/chat/", {"kwargs": {"room": "chat"}}, "/ws/chat/<room>/"),
        ("/ws/v7/room/7/", {"kwargs": {"room": 7}}, "/ws/v7/room/<room>/"),
        ("/ws/x/x/", {"kwargs": {"one": "x", "two": "x"}}, "/ws/<one>/<two>/"),
        ("/ws/room-5/", {"args": ("5",), "kwargs": {}}, "/ws/room-<0>/"),
        ("/ws/files/a/b/", {"kwargs": {"path": "a/b"}}, "/ws/files/<path>/"),
        ("/anything", None, ""),
    ],
)
def test_a_route_holds_names_and_no_values(path: str, given: dict[str, Any] | None, route: str) -> None:
    assert route_of({"path": path} | ({"url_route": given} if given is not None else {})) == route


# --- messages of browsers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_each_message_of_a_browser_is_a_trace_linked_to_the_handshake(
    open_socket: Open, layer: Any, finished_spans: Finished
) -> None:
    before = value("websocket_server_messages_total", direction="received", http_route=ROUTE)
    socket = await open_socket(7)
    heard = []
    for _ in range(2):
        await socket.send_frame(text="hello")
        heard.append(await socket.receive())
    await socket.disconnect()
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    first, second = named(finished_spans(), f"receive {ROUTE}")
    assert len({first["trace_id"], second["trace_id"], handshake["trace_id"]}) == 3
    assert [first["request_id"], second["request_id"]] == [one["request_id"] for one in heard]
    assert first["links"] == [{"trace_id": handshake["trace_id"], "span_id": handshake["span_id"]}]
    assert first["attributes"]["user.id"] == "7"
    assert heard[0]["actor"] == "person-7"
    assert value("websocket_server_messages_total", direction="received", http_route=ROUTE) == before + 2


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_browsers_message_that_fails_is_an_error(
    open_socket: Open, layer: Any, finished_spans: Finished
) -> None:
    socket = await open_socket(7)
    await socket.send_frame(text="fail")
    assert isinstance(await socket.failure(), RuntimeError)
    (received,) = named(finished_spans(), f"receive {ROUTE}")
    assert (received["status"], received["status_detail"]) == ("error", "RuntimeError")


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_what_sockets_send_and_how_long_handlers_run_is_counted(open_socket: Open, layer: Any) -> None:
    names = {
        "websocket_server_messages_total": {"direction": "sent", "http_route": ROUTE},
        "websocket_server_handler_duration_seconds_count": {"http_route": ROUTE},
    }
    before = {name: value(name, **labels) for name, labels in names.items()}
    socket = await open_socket(7)  # one of each: `connect`, and what it tells
    await layer.group_send(GROUP, {"type": "news.told"})
    await socket.receive()
    await socket.disconnect()
    after = {name: value(name, **labels) - before[name] for name, labels in names.items()}
    assert after == {
        "websocket_server_messages_total": 2,
        "websocket_server_handler_duration_seconds_count": 3,  # with `disconnect`
    }


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_the_handlers_of_two_sockets_do_not_share_a_context(
    open_socket: Open, layer: Any, gate: asyncio.Event
) -> None:
    slow, quick = await open_socket(1), await open_socket(2)
    with context.use(CAUSE):
        await layer.send(slow.channel, {"type": "news.slow", "waits_for": 1})
    await asyncio.wait_for(Listener.waiting.acquire(), 60)  # type: ignore[union-attr]
    await quick.send_frame(text="hello")
    assert (await quick.receive())["actor"] == "person-2"
    gate.set()
    assert (await slow.receive())["actor"] == "somebody"


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_what_a_sockets_own_task_does_piles_up_nowhere(
    open_socket: Open, layer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting: list[Work | None] = []
    connect = Listener.connect

    async def remember(self: Listener) -> None:
        connecting.append(running())
        await connect(self)

    monkeypatch.setattr(Listener, "connect", remember)
    await open_socket(1)
    (work,) = connecting
    assert work is not None
    assert work.is_finished
    before = len(work.leaves)
    work.add_leaf("SELECT", 0, 1, {})
    assert len(work.leaves) == before
