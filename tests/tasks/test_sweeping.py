"""What was left behind is found and set going again, and what the ledger holds of a task's life."""

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from celery import shared_task
from django.db import connection, transaction
from django.utils import timezone
from kombu import Connection

from audit.models import Event
from tasks.actions import attempts, enqueuing, sweeping
from tasks.actions.sweeping import sweep
from tasks.models import State, TaskRun
from telemetry import context

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE = "redis://127.0.0.1:1/0"
WAITING = (State.QUEUED, None)


@shared_task(name="tests.note")
def note(text: str, when: Any = None) -> str:
    return text


@shared_task(name="tests.sweeping.once", max_attempts=1)
def once_only() -> None:
    """Run once or not at all."""


@shared_task(name="tests.sweeping.errback")
def errback(run_id: str) -> None:
    _told.append(run_id)


@shared_task(name="tests.sweeping.errback_in_place")
def errback_in_place(request: Any, error: Exception, traceback: Any) -> None:
    _told.append(f"{request.id}: {type(error).__name__}")


@shared_task(name="tests.sweeping.broken_errback")
def broken_errback(run_id: str, more: str) -> None:
    raise OSError("an errback that is no good")


_told: list[str] = []


@pytest.fixture(autouse=True)
def _all_rows_are_old(settings: Any) -> None:
    settings.TASKS_UNSENT_SECONDS = settings.TASKS_LOST_SECONDS = 0
    _told.clear()


def enqueue_unsent(*args: Any, **options: Any) -> TaskRun:
    """Enqueue while the broker is down."""
    with Connection(NOWHERE, transport_options={"max_retries": 0}) as dead:
        result = note.apply_async(args, connection=dead, **options)
    return TaskRun.objects.get(id=result.id)


def test_what_the_broker_refused_is_sent(work_off: Callable[..., Any]) -> None:
    run = enqueue_unsent("hello")
    assert (run.state, run.sent_at) == WAITING
    assert sweep() == 1
    work_off()
    run.refresh_from_db()
    assert (run.state, run.attempts) == (State.SUCCEEDED, 1)
    assert sweep() == 0


def test_what_a_crash_left_between_commit_and_publish_is_sent(take_message: Callable[..., Any]) -> None:
    with transaction.atomic():
        result = note.delay("hello")
        connection.run_on_commit = []  # the process dies here
    assert take_message() is None
    assert sweep() == 1
    assert take_message().headers["id"] == result.id


def test_what_redis_lost_is_sent_once_more(take_message: Callable[..., Any], redis_client: Any) -> None:
    lost = {note.delay(str(number)).id for number in range(5)}
    redis_client.delete(*redis_client.scan_iter("default*"))
    assert sweep() == 5
    assert {take_message().headers["id"] for _ in range(5)} == lost
    assert take_message() is None


def test_what_the_broker_still_holds_is_left_alone(take_message: Callable[..., Any]) -> None:
    note.delay("waits")
    assert sweep() == 0
    assert take_message() is not None
    assert take_message() is None


def test_what_was_overtaken_is_lost_though_its_queue_is_not_empty(take_message: Callable[..., Any]) -> None:
    lost = note.delay("lost")
    take_message()
    TaskRun.objects.update(sent_at=timezone.now() - timedelta(minutes=1))
    later = note.delay("later")
    take_message()
    note.delay("still waits")
    assert sweep() == 0
    attempts.claim_run(uuid.UUID(later.id), worker="w")
    assert sweep() == 1
    assert {take_message().headers["id"], take_message().headers["id"]} > {lost.id}


def test_young_rows_are_their_callers(take_message: Callable[..., Any], settings: Any) -> None:
    settings.TASKS_UNSENT_SECONDS = 10
    enqueue_unsent("hello")
    assert sweep() == 0
    assert take_message() is None


def test_what_is_due_later_waits_in_the_database(take_message: Callable[..., Any]) -> None:
    run = TaskRun.objects.get(id=note.apply_async(("later",), countdown=3600).id)
    assert (run.state, run.sent_at) == WAITING
    assert sweep() == 0
    assert take_message() is None
    TaskRun.objects.update(eta=timezone.now())
    assert sweep() == 1
    message = take_message()
    assert (message.headers["id"], message.headers["eta"]) == (str(run.id), None)


def test_what_is_sent_later_keeps_its_context_and_options(take_message: Callable[..., Any]) -> None:
    actor = context.Actor("user", "7", "reader")
    cause = context.Context(request_id="req-12345678", operation="POST /x/", actor_source=actor)
    with context.use(cause):
        enqueue_unsent("hello", uuid.UUID(int=5), queue="notifications", priority=3)
    sweep()
    message = take_message("notifications")
    assert message.headers["glasshouse_context"]["request_id"] == "req-12345678"
    assert message.headers["glasshouse_context"]["actor_label"] == "reader"
    assert message.properties["priority"] == 3
    assert message.decode()[0] == ["hello", uuid.UUID(int=5)]


def test_one_that_cannot_be_sent_does_not_hold_up_the_others(take_message: Callable[..., Any]) -> None:
    enqueue_unsent("bad")
    TaskRun.objects.update(message="not JSON")
    good = enqueue_unsent("good")
    assert sweep() == 1
    assert take_message().headers["id"] == str(good.id)


@pytest.mark.usefixtures("broker_is_down")
def test_while_the_broker_is_down_everything_stays() -> None:
    note.delay("one")
    note.delay("two")
    assert sweep() == 0
    assert set(TaskRun.objects.values_list("state", "sent_at")) == {WAITING}


def test_a_lease_that_ran_out_gives_the_task_back(work_off: Callable[..., Any]) -> None:
    run_id = uuid.UUID(note.delay("hello").id)
    assert attempts.claim_run(run_id, worker="gone/1") == 1
    assert sweep() == 0
    TaskRun.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    sweep()
    run = TaskRun.objects.get()
    assert (run.state, run.sent_at) == (State.RETRYING, None)
    assert [(one.number, one.outcome) for one in run.tries] == [(1, "lost")]
    assert "gone/1" in run.tries[0].error
    TaskRun.objects.update(eta=timezone.now())
    work_off()  # the first message is a waste by now, and harmless: it begins the second attempt
    run.refresh_from_db()
    assert (run.state, run.attempts) == (State.SUCCEEDED, 2)


def lost(run_id: uuid.UUID) -> None:
    """Begin a run with a worker that is gone, and sweep."""
    assert attempts.claim_run(run_id, worker="gone/1") == 1
    TaskRun.objects.filter(id=run_id).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    sweeping.expire_leases()


def test_errbacks_are_told_once_of_a_task_that_died_with_its_worker(work_off: Callable[..., Any]) -> None:
    result = once_only.apply_async(link_error=[errback.s(), errback_in_place.s()])
    lost(uuid.UUID(result.id))
    sweeping.expire_leases()
    work_off()  # the lost one's message is a waste by now
    work_off()
    assert _told == [f"{result.id}: LeaseExpiredError", result.id]
    assert TaskRun.objects.get(id=result.id).state == State.DEAD


def test_no_errback_is_told_where_the_task_is_to_be_tried_again() -> None:
    run_id = uuid.UUID(note.apply_async(("hello",), link_error=[errback.s(), errback_in_place.s()]).id)
    lost(run_id)
    assert (TaskRun.objects.get().state, _told) == (State.RETRYING, [])


def test_an_errback_that_cannot_be_asked_for_keeps_no_task_from_its_end(
    work_off: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errback, "apply_async", broken_errback)
    run_id = uuid.UUID(once_only.apply_async(link_error=errback.s()).id)
    lost(run_id)
    assert TaskRun.objects.get(id=run_id).state == State.DEAD


def test_a_task_whose_attempts_were_used_up_tells_its_errback(work_off: Callable[..., Any]) -> None:
    run_id = uuid.UUID(note.apply_async(("hello",), link_error=errback_in_place.s()).id)
    TaskRun.objects.filter(id=run_id).update(max_attempts=0)
    work_off()
    assert _told == [f"{run_id}: MaxRetriesExceededError"]


def test_four_sweeps_at_once_send_one_message(take_message: Callable[..., Any]) -> None:
    enqueue_unsent("hello")
    begin = threading.Barrier(4)
    sent: list[int] = []

    def run() -> None:
        try:
            begin.wait(60)
            sent.append(sweep())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(sent) == [0, 0, 0, 1]
    assert take_message() is not None
    assert take_message() is None


def test_ten_adoptions_of_an_unknown_task_make_one_row() -> None:
    run_id = uuid.uuid4()
    begin = threading.Barrier(4)

    def adopt() -> None:
        try:
            begin.wait(60)
            enqueuing.adopt_run(
                run_id, name="tests.note", queue="default", args=(), kwargs={}, options={}, max_attempts=4
            )
        finally:
            connection.close()

    threads = [threading.Thread(target=adopt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert TaskRun.objects.get(id=run_id).state == State.QUEUED


def test_the_ledger_holds_what_was_asked_for_and_what_came_of_it(work_off: Callable[..., Any]) -> None:
    result = note.delay("hello")
    work_off()
    events = list(Event.objects.filter(object_type="tasks.taskrun", object_id=result.id).order_by("id"))
    assert [event.action for event in events] == ["tasks.taskrun.created", "tasks.taskrun.updated"]
    assert events[0].changes["arguments"] == {"args": ["hello"], "kwargs": {}}
    assert events[1].changes == {"outcome": ["", "succeeded"]}
    assert not {"message", "state", "attempts", "result"} & set(events[0].changes)
    assert events[1].origin == "task"


def test_a_worker_that_stands_still_in_its_sweep_keeps_no_other_from_sweeping(
    settings: Any, superuser: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    settings.TASKS_LEASE_SECONDS = 0.1
    lock = "SELECT pg_try_advisory_lock(%s)"

    def stand_still(_name: str, **_values: Any) -> list[Any]:
        assert superuser.execute(lock, [sweeping._LOCK]).fetchone() == (False,)
        wait_until(lambda: superuser.execute(lock, [sweeping._LOCK]).fetchone() == (True,))
        return []

    monkeypatch.setattr(sweeping.statements, "rows_of", stand_still)
    with pytest.raises(Exception, match=r"idle-in-transaction|closed"):
        sweeping.send_due()
    superuser.execute("SELECT pg_advisory_unlock_all()")
