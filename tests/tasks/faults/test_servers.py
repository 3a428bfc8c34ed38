"""What may happen to the servers while tasks wait and run: Redis restarted, emptied and full, PostgreSQL restarted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from config.embedded import postgres, redis
from config.processes import stop_all
from tasks.models import State, TaskAttempt, TaskRun
from tests.tasks.faults.jobs import make, make_slowly, make_within
from tests.tasks.faults.place import Place, Worker, effects, tries

pytestmark = pytest.mark.long

IsAt = Callable[..., int]
IsIn = Callable[..., TaskRun]
_SECONDS = 60


@pytest.fixture
def worker(place: Place) -> Worker:
    place.stop_workers("steady")
    (steady,) = place.start_workers("steady", concurrency=2)
    return steady


@pytest.fixture
def all_done(wait_until: Any) -> Callable[[], None]:
    """Return a function that waits until every run has succeeded."""

    def wait() -> None:
        wait_until(lambda: not TaskRun.objects.exclude(state=State.SUCCEEDED).exists(), timeout=_SECONDS)

    return wait


def one_each(count: int) -> list[tuple[str, int]]:
    return sorted((f"number {number}", 1) for number in range(count))


def test_redis_restarted_loses_no_task_that_waited_and_takes_those_asked_for_meanwhile(
    worker: Worker, place: Place, gate: Path, is_at: IsAt, wait_until: Any, all_done: Callable[[], None]
) -> None:
    second = gate.with_name(f"second-{gate.name}")
    held = [make_slowly.delay(str(path)) for path in (gate, second)]
    is_at(gate)
    is_at(second)
    for number in range(10):
        make.delay(f"number {number}")
    stop_all([place.redis])
    for number in range(10, 15):
        make.delay(f"number {number}")  # it neither fails nor takes long
    wait_until(lambda: TaskRun.objects.filter(sent_at=None).count() == 5)
    place.redis = redis.start(place.local_dir, is_durable=False)
    gate.touch()
    second.touch()
    all_done()
    assert [tries(TaskRun.objects.get(id=one.id)) for one in held] == [[(1, "succeeded")]] * 2
    assert effects() == sorted([("after", 2), ("before", 2), *one_each(15)])


def test_all_that_waited_is_done_though_redis_was_emptied(
    worker: Worker, place: Place, gate: Path, is_at: IsAt, all_done: Callable[[], None]
) -> None:
    second = gate.with_name(f"second-{gate.name}")
    for path in (gate, second):
        make_slowly.delay(str(path))
    is_at(gate)
    is_at(second)
    for number in range(100):
        make.delay(f"number {number}")
    assert place.broker.dbsize() > 0
    place.broker.flushall()
    gate.touch()
    second.touch()
    all_done()
    assert effects() == sorted([("after", 2), ("before", 2), *one_each(100)])
    assert not TaskAttempt.objects.exists()  # of each the first one came to a good end


def test_while_redis_is_full_tasks_are_taken_and_are_sent_once_there_is_room(
    worker: Worker, place: Place, wait_until: Any, all_done: Callable[[], None]
) -> None:
    pid = worker.pid
    place.broker.config_set("maxmemory", 1)
    try:
        for number in range(10):
            make.delay(f"number {number}")
        # Each sweep takes them to be sent, and puts them back.
        wait_until(lambda: TaskRun.objects.filter(state=State.QUEUED, sent_at=None).count() == 10)
    finally:
        place.broker.config_set("maxmemory", 0)
    all_done()
    assert effects() == one_each(10)
    assert worker.process.is_running
    assert worker.pid == pid


def test_redis_that_becomes_full_under_a_worker_loses_nothing(
    worker: Worker, place: Place, wait_until: Any, all_done: Callable[[], None]
) -> None:
    worker.freeze()
    for number in range(10):
        make.delay(f"number {number}")
    place.broker.config_set("maxmemory", 1)
    try:
        worker.thaw()
        wait_until(
            lambda: not place.broker.llen("default") or TaskRun.objects.filter(attempts__gt=0).exists(), timeout=60
        )
    finally:
        place.broker.config_set("maxmemory", 0)
    all_done()
    assert effects() == one_each(10)
    assert worker.process.is_running


def test_postgres_restarted_under_running_tasks_costs_at_most_an_attempt(
    worker: Worker, place: Place, gate: Path, is_at: IsAt, all_done: Callable[[], None]
) -> None:
    second = gate.with_name(f"second-{gate.name}")
    outside, within = make_slowly.delay(str(gate)), make_within.delay(str(second))
    children = {is_at(gate), is_at(second)}
    for number in range(10):
        make.delay(f"number {number}")
    stop_all([place.postgres])
    second.touch()  # its transaction is lost, and its end can't be written before the server is back
    place.postgres = postgres.start(place.local_dir, is_durable=False)
    connection.close()
    gate.touch()
    all_done()
    for run_id in (outside.id, within.id):
        assert tries(TaskRun.objects.get(id=run_id)) == [(1, "retried"), (2, "succeeded")]
    assert effects() == sorted([("after", 1), ("before", 1), ("within", 1), *one_each(10)])
    assert children <= {child.pid for child in worker.children}  # their connections were replaced, not they
    assert not TaskRun.objects.filter(lease_expires_at__isnull=False).exists()
