"""The queues: their lengths over all priorities, the age of the oldest message, and one poller at a time."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis as redis_py

from config.processes import stop_all
from telemetry.celery.queues import LEASE_KEY, Poller
from telemetry.tracing.store import recent_spans
from tests.conftest import WaitUntil
from tests.telemetry import celery_app as tasks
from tests.telemetry.celery_processes import named, start, value, worker

pytestmark = pytest.mark.long

LENGTH, AGE = "celery_queue_length", "celery_queue_oldest_message_age_seconds"


@pytest.fixture
def poller(servers: Any) -> Iterator[Poller]:
    made = Poller(tasks.app, 60)
    yield made
    made._show({}, 0.0)
    made._disconnect()
    made._give_back()


def length() -> float:
    return value(LENGTH, queue=tasks.QUEUE)


def age() -> float:
    return value(AGE, queue=tasks.QUEUE)


def test_a_queue_is_as_long_as_all_its_priorities(poller: Poller) -> None:
    poller.poll()
    assert (length(), age()) == (0, 0)
    for priority in (0, 3, 6, 9, 9):
        tasks.nothing.apply_async(priority=priority)
    poller.poll()
    assert length() == 5
    assert value(LENGTH, queue="watched.slow") == 0


def age_of(poller: Poller, **options: Any) -> float:
    tasks.nothing.apply_async(**options)
    poller.poll()
    return age()


def test_the_oldest_message_tells_its_age_whatever_its_priority(
    poller: Poller, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC).timestamp()
    for priority, ago in ((9, 500), (0, 100), (9, 20)):
        with monkeypatch.context() as patched:
            patched.setattr("telemetry.celery.publishing.time.time", lambda ago=ago: now - ago)
            tasks.nothing.apply_async(priority=priority)
    poller.poll()
    assert 500 <= age() < 560


def test_a_large_message_and_lying_arguments_are_read_right(poller: Poller, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC).timestamp()
    with monkeypatch.context() as patched:
        patched.setattr("telemetry.celery.publishing.time.time", lambda: now - 300)
        tasks.app.send_task(
            "watched.nothing", ['"sent_at": "1.0"' + "\N{SNOWMAN}x" * 500_000], argsrepr='"sent_at": "1.0"'
        )
    poller.poll()
    assert 300 <= age() < 360


def test_a_message_waits_from_its_eta_on(poller: Poller) -> None:
    assert age_of(poller, countdown=3_600) == 0


def test_a_message_that_says_nothing_of_its_sending_has_no_age(poller: Poller, redis_client: redis_py.Redis) -> None:
    redis_client.lpush(tasks.QUEUE, "{}")
    poller.poll()
    assert length() == 1
    assert math.isnan(age())


def test_one_polls_at_a_time_and_another_takes_over(poller: Poller) -> None:
    other = Poller(tasks.app, 60)
    tasks.nothing.delay()
    poller.poll()
    tasks.nothing.delay()
    other.poll()
    assert length() == 1  # as the first saw it
    poller._give_back()  # as at its end; where it dies its lease runs out
    other.poll()
    assert length() == 2
    other._disconnect()
    other._give_back()


def test_the_lease_of_a_poller_that_died_runs_out(poller: Poller, servers: Any) -> None:
    poller.poll()
    seconds = servers.redis[3].pttl(LEASE_KEY) / 1_000
    assert 0 < seconds <= 180


def test_a_poller_that_fails_shows_no_old_numbers(poller: Poller, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks.nothing.delay()
    poller.poll()
    assert length() == 1
    poller._disconnect()
    monkeypatch.setattr(tasks.app.conf, "broker_read_url", "redis://127.0.0.1:1/0")
    with pytest.raises(redis_py.ConnectionError):
        poller.poll()
    assert math.isnan(length())
    assert math.isnan(age())
    monkeypatch.undo()
    poller.poll()
    assert length() == 1


def test_a_worker_polls_and_its_end_takes_the_numbers_along(servers: Any, wait_until: WaitUntil) -> None:
    tasks.nothing.apply_async(queue=tasks.QUEUE)
    with worker("--queues", "watched.slow", name="polling"):
        wait_until(lambda: length() == 1)
        wait_until(lambda: age() > 0)
        assert value("celery_workers") == 1
        assert servers.redis[3].exists(LEASE_KEY)
    assert length() == 0
    assert value("celery_workers") == 0
    assert not servers.redis[3].exists(LEASE_KEY)  # given back


def test_each_tick_of_beat_is_a_trace_with_the_schedules_name(
    servers: Any, wait_until: WaitUntil, tmp_path: Any, redis_client: redis_py.Redis
) -> None:
    beat = start("beat", "beat", "--schedule", str(tmp_path / "schedule"), "--pidfile", "")
    store = recent_spans()
    try:
        wait_until(lambda: redis_client.llen("watched.slow") >= 2, timeout=60)
        # Beat tells how the queues grow where no worker does.
        wait_until(lambda: value(LENGTH, queue="watched.slow") >= 2)
        wait_until(lambda: len(named(store.latest(), "beat every-moment")) >= 2)
    finally:
        stop_all([beat])
    ticks = named(store.latest(), "beat every-moment")
    assert len({tick["trace_id"] for tick in ticks}) == len({tick["request_id"] for tick in ticks}) == len(ticks)
    tick = ticks[-1]
    assert (tick["parent_id"], tick["attributes"]["celery.schedule"]) == ("", "every-moment")
    with worker("--queues", "watched.slow", name="after-beat"):
        wait_until(lambda: named(store.spans_of(tick["request_id"]), "process watched.nothing"))
    spans = store.spans_of(tick["request_id"])
    (send,), (process,) = named(spans, "send watched.slow"), named(spans, "process watched.nothing")
    assert send["parent_id"] == tick["span_id"]
    assert process["links"] == [{"trace_id": tick["trace_id"], "span_id": send["span_id"]}]
    assert (process["parent_id"], process["attributes"]["celery.link"]) == ("", "beat")
