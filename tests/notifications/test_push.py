"""Pushes from threads to the channel layer."""

import json
import os
import threading
from typing import Any

import pytest
from channels.layers import get_channel_layer

from notifications import push
from telemetry import context


@pytest.fixture(autouse=True)
def _redis(servers: Any) -> None:
    """Pushes go through the suite's Redis."""


async def subscribe(group: str) -> tuple[Any, str]:
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    return layer, channel


async def test_pushes_arrive_in_order_from_any_thread() -> None:
    layer, channel = await subscribe("tests.push")

    def push_all() -> None:
        for number in range(50):
            push.push_to_group("tests.push", {"type": "tests.number", "number": number})

    thread = threading.Thread(target=push_all)
    thread.start()
    thread.join(60)
    received = [(await layer.receive(channel))["number"] for _ in range(50)]
    assert received == list(range(50))


async def test_the_context_of_the_caller_goes_along() -> None:
    layer, channel = await subscribe("tests.context")
    with context.use(context.Context(request_id="req-12345678", task_id="some-task")):
        push.push_to_group("tests.context", {"type": "tests.message"})
    with context.use(context.Context(request_id="req-87654321")):
        push.push_to_group("tests.context", {"type": "tests.message"})
    carriers = [json.loads((await layer.receive(channel))["telemetry"]) for _ in range(2)]
    assert [carrier["request_id"] for carrier in carriers] == ["req-12345678", "req-87654321"]
    assert carriers[0]["parent_task_id"] == "some-task"


async def test_a_message_is_not_changed_by_the_push() -> None:
    _, _ = await subscribe("tests.unchanged")
    message = {"type": "tests.message"}
    push.push_to_group("tests.unchanged", message)
    assert push.flush(60)
    assert message == {"type": "tests.message"}


def test_what_cannot_be_sent_is_counted_and_hurts_nobody() -> None:
    before = push.PUSH_DROPPED.labels(reason="error").value
    push.push_to_group("tests.push", {"type": "tests.message", "what": object()})
    assert push.flush(60)
    assert push.PUSH_DROPPED.labels(reason="error").value == before + 1


def test_the_backlog_is_bounded() -> None:
    pusher = push.Pusher(backlog_limit=2)
    blocked, release = threading.Event(), threading.Event()

    def block() -> None:
        blocked.set()
        release.wait(60)

    pusher._loop.call_soon_threadsafe(block)
    assert blocked.wait(60)
    accepted = [pusher.push("tests.push", {"type": "tests.message"}) for _ in range(4)]
    assert not pusher.flush(0.01)
    release.set()
    assert accepted == [True, True, False, False]
    assert pusher.flush(60)


def test_a_forked_child_pushes_too(redis_client: Any) -> None:
    push.push_to_group("tests.push", {"type": "tests.message"})  # the parent's thread runs
    assert push.flush(60)
    pid = os.fork()
    if pid == 0:
        push.push_to_group("tests.push", {"type": "tests.message"})
        os._exit(0 if push.flush(60) and push._pusher is not None else 1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
