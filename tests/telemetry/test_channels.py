"""Broadcasts, from their sending to every consumer."""

import asyncio
from typing import Any

import pytest

from telemetry import context
from telemetry.channels import CARRIER, broadcasts, layers
from telemetry.context import Context
from telemetry.tracing import sampling
from telemetry.tracing.work import Work, running
from tests.conftest import WaitUntil
from tests.telemetry.broadcasting import CAUSE, ROUTE, Open, named, send_as_request, value
from tests.telemetry.conftest import Finished
from tests.telemetry.sockets import GROUP, Listener, MemoryLayer

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
