"""The sweeper, duplicates at once, and what the ledger holds of a task's life."""

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import shared_task
from django.db import connection, transaction
from kombu import Connection

from audit.models import Event
from tasks import actions
from tasks.models import State, TaskRun
from telemetry import context

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE = "redis://127.0.0.1:1/0"
AT_ONCE = timedelta(0)


@shared_task(name="tests.note")
def note(text: str, when: Any = None) -> str:
    return text


def enqueue_unpublished(*args: Any, **options: Any) -> TaskRun:
    """Enqueue while the broker is down."""
    with Connection(NOWHERE, transport_options={"max_retries": 0}) as dead:
        result = note.apply_async(args, connection=dead, **options)
    return TaskRun.objects.get(id=result.id)


def test_the_sweeper_publishes_what_the_broker_refused(
    take_message: Callable[..., Any], work_off: Callable[..., Any]
) -> None:
    run = enqueue_unpublished("hello")
    assert actions.publish_waiting(age=AT_ONCE) == 1
    run.refresh_from_db()
    assert run.state == State.PUBLISHED
    work_off()
    run.refresh_from_db()
    assert (run.state, run.attempts) == (State.SUCCEEDED, 1)
    assert actions.publish_waiting(age=AT_ONCE) == 0


def test_the_sweeper_publishes_what_a_crash_left(take_message: Callable[..., Any]) -> None:
    with transaction.atomic():
        result = note.delay("hello")
        # The process dies between its commit and its publish.
        connection.run_on_commit = []
    assert take_message() is None
    assert actions.publish_waiting(age=AT_ONCE) == 1
    assert take_message().headers["id"] == result.id


def test_the_sweeper_leaves_young_rows_to_their_callers(take_message: Callable[..., Any]) -> None:
    enqueue_unpublished("hello")
    assert actions.publish_waiting() == 0
    assert take_message() is None


def test_what_is_published_later_keeps_its_context_and_options(take_message: Callable[..., Any]) -> None:
    actor = context.Actor("user", "7", "reader")
    cause = context.Context(request_id="req-12345678", operation="POST /x/", actor_source=actor)
    with context.use(cause):
        run = enqueue_unpublished("hello", uuid.UUID(int=5), queue="notifications", countdown=3600)
    actions.publish_waiting(age=AT_ONCE)
    message = take_message("notifications")
    assert message.headers["glasshouse_context"]["request_id"] == "req-12345678"
    assert message.headers["glasshouse_context"]["actor_label"] == "reader"
    assert message.headers["eta"] == run.eta.isoformat()
    assert message.decode()[0] == ["hello", uuid.UUID(int=5)]


def test_one_that_cannot_be_published_does_not_hold_up_the_others(take_message: Callable[..., Any]) -> None:
    enqueue_unpublished("bad")
    TaskRun.objects.update(message="not JSON")
    good = enqueue_unpublished("good")
    assert actions.publish_waiting(age=AT_ONCE) == 1
    assert take_message().headers["id"] == str(good.id)


@pytest.mark.usefixtures("broker_is_down")
def test_the_sweeper_stops_while_the_broker_is_down() -> None:
    note.delay("one")
    note.delay("two")
    assert actions.publish_waiting(age=AT_ONCE) == 0
    assert set(TaskRun.objects.values_list("state", flat=True)) == {State.QUEUED}


def test_two_publishers_at_once_send_one_message() -> None:
    run = enqueue_unpublished("hello")
    sent: list[int] = []
    begin = threading.Barrier(4)
    results: list[bool] = []

    def publish() -> None:
        try:
            begin.wait(5)
            results.append(actions.publish_run(run.id, lambda: sent.append(1)))
        finally:
            connection.close()

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(sent) == 1
    assert sorted(results) == [False, False, False, True]


def test_ten_starts_of_an_unknown_task_make_one_row() -> None:
    run_id = uuid.uuid4()
    begin = threading.Barrier(4)

    def start() -> None:
        try:
            begin.wait(5)
            actions.start_run(run_id, name="tests.note", queue="default", args=(), kwargs={}, worker="w")
        finally:
            connection.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert TaskRun.objects.get(id=run_id).attempts == 4


def test_the_ledger_holds_the_life_of_a_task(work_off: Callable[..., Any]) -> None:
    result = note.delay("hello")
    work_off()
    events = Event.objects.filter(object_type="tasks.taskrun", object_id=result.id).order_by("id")
    states = [event.changes["state"] for event in events]
    assert states == [
        "queued",
        ["queued", "published"],
        ["published", "running"],
        ["running", "succeeded"],
    ]
    assert all("message" not in event.changes for event in events)
    assert [event.origin for event in events][-2:] == ["task", "task"]
