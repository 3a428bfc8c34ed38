"""Messages that a channel layer loses: for want of room, of a slow consumer, with a consumer that ends."""

import asyncio
from typing import Any

import pytest
from channels.exceptions import ChannelFull

from telemetry.metrics import exposed_registry
from tests.telemetry.broadcasting import named
from tests.telemetry.conftest import Finished
from tests.telemetry.sockets import GROUP, Listener, NewsSocket

CAPACITY = 2


@pytest.fixture
def layer_options() -> dict[str, Any]:
    """Little room."""
    return {"capacity": CAPACITY}


def dropped(reason: str) -> float:
    return exposed_registry().get_sample_value("channel_layer_dropped_messages_total", {"reason": reason}) or 0.0


@pytest.mark.parametrize("layer", ["memory", "core"], indirect=True)
async def test_a_groups_messages_that_find_no_room_are_counted_and_noted(layer: Any, finished_spans: Finished) -> None:
    before = dropped("over_capacity")
    await layer.group_add(GROUP, await layer.new_channel())  # which nobody reads
    for _ in range(CAPACITY + 3):
        await layer.group_send(GROUP, {"type": "news.told"})
    assert dropped("over_capacity") == before + 3
    sendings = named(finished_spans(), "group_send news.told")
    assert [span["attributes"].get("channels.dropped", 0) for span in sendings] == [0, 0, 1, 1, 1]
    assert not named(finished_spans(), "send news.told")  # a group's message is one sending, however it's carried out


@pytest.mark.parametrize("layer", ["memory", "core"], indirect=True)
async def test_a_message_that_finds_no_room_is_counted_and_raises(layer: Any) -> None:
    before = dropped("over_capacity")
    channel = await layer.new_channel()
    for _ in range(CAPACITY):
        await layer.send(channel, {"type": "news.told"})
    with pytest.raises(ChannelFull):
        await layer.send(channel, {"type": "news.told"})
    assert dropped("over_capacity") == before + 1


@pytest.mark.parametrize("layer", ["pubsub", "core"], indirect=True)
async def test_a_slow_consumer_loses_the_oldest_and_each_loss_is_noted_in_its_broadcast(
    layer: Any, gate: asyncio.Event, finished_spans: Finished
) -> None:
    before = dropped("slow_consumer")
    slow, quick = NewsSocket(1), NewsSocket(2)
    await slow.open()
    await quick.open()
    await layer.group_send(GROUP, {"type": "news.slow", "waits_for": 1, "number": 0})
    await quick.receive()
    await asyncio.wait_for(Listener.waiting.acquire(), 60)  # type: ignore[union-attr]
    for number in range(1, 6):
        await layer.group_send(GROUP, {"type": "news.told", "number": number})
        assert (await quick.receive())["event"]["number"] == number
    assert dropped("slow_consumer") == before + 3
    gate.set()
    assert [(await slow.receive())["event"]["number"] for _ in range(3)] == [0, 4, 5]
    await slow.disconnect()
    await quick.disconnect()
    deliveries = named(finished_spans(), "deliver news.told")
    assert sum(span["attributes"]["broadcast.dropped"] for span in deliveries) == 3
    sendings = {span["span_id"] for span in named(finished_spans(), "group_send news.told")}
    assert {span["parent_id"] for span in deliveries if span["attributes"]["broadcast.dropped"]} <= sendings


@pytest.mark.parametrize("layer", ["pubsub"], indirect=True)
async def test_what_waits_for_a_connection_that_ends_is_counted_and_its_queue_is_gone(
    layer: Any, gate: asyncio.Event
) -> None:
    before = dropped("disconnected"), dropped("slow_consumer")
    slow, quick = NewsSocket(1), NewsSocket(2)
    await slow.open()
    await quick.open()
    await layer.group_send(GROUP, {"type": "news.slow", "waits_for": 1})
    await quick.receive()
    await asyncio.wait_for(Listener.waiting.acquire(), 60)  # type: ignore[union-attr]
    for _ in range(CAPACITY):
        await layer.group_send(GROUP, {"type": "news.told"})
        await quick.receive()
    await slow.cut()
    assert dropped("disconnected") == before[0] + CAPACITY
    for _ in range(CAPACITY + 2):
        await layer.group_send(GROUP, {"type": "news.told"})
        await quick.receive()
    assert dropped("slow_consumer") == before[1]
    again = NewsSocket(3)
    await again.open()
    await layer.group_send(GROUP, {"type": "news.told"})
    await again.receive()
    await again.disconnect()
    await quick.disconnect()
