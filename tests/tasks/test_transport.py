"""What a worker has taken from Redis: of tasks with a row only the worker knows, of all others Redis as well."""

from collections.abc import Iterator
from typing import Any

import pytest
from celery import shared_task

from config.celery import app
from tasks.transport import ROW_HEADER, Channel

pytestmark = pytest.mark.django_db(transaction=True)
QUEUE = "default"


@shared_task(name="tests.transport.note")
def note() -> None:
    """Do nothing."""


@shared_task(name="tests.transport.plain", is_recorded=False)
def plain() -> None:
    """Do nothing, without a row."""


@pytest.fixture
def channel() -> Iterator[Channel]:
    """A worker's channel to the broker; what is left in the queue goes."""
    with app.connection_for_read() as connection:
        channel = connection.channel()
        channel.queue_purge(QUEUE)
        yield channel
    with app.connection_for_read() as connection:
        connection.channel().queue_purge(QUEUE)


def waiting() -> int:
    with app.connection_for_read() as connection:
        return int(connection.channel()._size(QUEUE))


def noted(channel: Channel) -> int:
    """Return how many messages Redis knows to be with workers."""
    with channel.conn_or_acquire() as client:
        assert client.hlen(channel.unacked_key) == client.zcard(channel.unacked_index_key)
        return int(client.hlen(channel.unacked_key))


def test_redis_keeps_no_note_of_a_message_whose_task_has_a_row(channel: Channel) -> None:
    note.delay()
    message = channel.basic_get(QUEUE)
    assert ROW_HEADER in message.headers
    assert (waiting(), noted(channel)) == (0, 0)
    channel.basic_ack(message.delivery_tag)
    channel.close()
    assert waiting() == 0


def test_redis_keeps_a_note_of_any_other_message_until_it_was_begun(channel: Channel) -> None:
    plain.delay()
    message = channel.basic_get(QUEUE)
    assert (waiting(), noted(channel)) == (0, 1)
    channel.basic_ack(message.delivery_tag)
    assert noted(channel) == 0


@pytest.mark.parametrize("task", [note, plain])
def test_a_worker_that_ends_puts_back_what_it_has_not_begun(channel: Channel, task: Any) -> None:
    task.delay()
    task.delay()
    begun, left = channel.basic_get(QUEUE), channel.basic_get(QUEUE)
    channel.basic_ack(begun.delivery_tag)
    channel.close()
    with app.connection_for_read() as connection:
        again = connection.channel()
        message = again.basic_get(QUEUE)
        assert message.headers["id"] == left.headers["id"]
        assert message.payload == left.payload
        again.basic_ack(message.delivery_tag)
        assert again.basic_get(QUEUE) is None
        assert noted(again) == 0


@pytest.mark.parametrize("task", [note, plain])
def test_a_message_that_is_refused_comes_back_where_that_is_asked_for(channel: Channel, task: Any) -> None:
    task.delay()
    message = channel.basic_get(QUEUE)
    channel.basic_reject(message.delivery_tag, requeue=True)
    assert (waiting(), noted(channel)) == (1, 0)
    message = channel.basic_get(QUEUE)
    channel.basic_reject(message.delivery_tag)
    assert (waiting(), noted(channel)) == (0, 0)


def test_a_worker_takes_no_more_than_it_may_hold(channel: Channel) -> None:
    note.delay()
    note.delay()
    channel.basic_qos(prefetch_count=1)
    taken: list[Any] = []
    channel.basic_consume(QUEUE, no_ack=False, callback=taken.append, consumer_tag="tests")
    channel.connection.drain_events(channel.connection, timeout=5)
    assert len(taken) == 1
    assert not channel.qos.can_consume()
    channel.basic_ack(taken[0].delivery_tag)
    assert channel.qos.can_consume()


def test_commands_share_one_client(channel: Channel) -> None:
    with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
        assert first is second
    channel._disconnect_pools()
    with channel.conn_or_acquire() as anew:
        assert anew is not first
        assert anew.ping()
