"""What a task writes is told of whoever caused it, with the request, the task and the reason."""

import contextvars
from collections.abc import Callable
from typing import Any

import pytest
from celery import shared_task, signals
from celery.beat import Scheduler
from django.db import transaction

import audit
from audit.models import Event
from chat.models import Room
from tasks.actions.sweeping import sweep
from tasks.models import State, TaskRun
from telemetry.context import Actor, Context, current, new_request_id, use

pytestmark = pytest.mark.django_db(transaction=True)


@shared_task(name="tests.write_room")
def write_room(slug: str) -> None:
    Room.objects.create(slug=slug, name="x")


@shared_task(
    name="tests.write_in_turn", bind=True, autoretry_for=(OSError,), retry_backoff=False, default_retry_delay=1
)
def write_in_turn(self: Any) -> None:
    Room.objects.create(slug=f"attempt-{self.request.retries + 1}", name="x")
    if self.request.retries < 2:
        raise OSError("not yet")


@shared_task(name="tests.write_and_ask_for_another")
def write_and_ask_for_another() -> None:
    with transaction.atomic(), audit.reason("passed on"):
        write_room.delay("second")
        Room.objects.create(slug="first", name="x")


@shared_task(name="tests.housekeeping", is_recorded=False)
def housekeeping() -> None:
    Room.objects.create(slug="housekeeping", name="x")


@pytest.fixture
def alice() -> Context:
    return Context(
        request_id=new_request_id(),
        origin="http",
        operation="POST /rooms/",
        actor_source=Actor("user", "7", "alice"),
        client_address="203.0.113.9",
        token_id="3",
        reason="ticket 7",
    )


def rooms() -> dict[str, Event]:
    return {event.changes["slug"]: event for event in Event.objects.filter(action="chat.room.created")}


def told(event: Event) -> tuple[Any, ...]:
    return event.actor_type, event.actor_id, event.actor_label, event.origin, event.operation, event.request_id


def test_a_task_acts_for_whoever_asked_for_it(work_off: Callable[..., Any], alice: Context) -> None:
    with use(alice):
        result = write_room.delay("by-task")
    work_off()
    event = rooms()["by-task"]

    assert told(event) == ("user", "7", "alice", "task", "tests.write_room", alice.request_id)
    assert event.task_id == result.id
    assert event.context["reason"] == "ticket 7"
    assert (event.context["cause"], event.context["token_id"]) == ("POST /rooms/", "3")
    assert event.context["address"] == "203.0.113.9"
    assert current() == Context()


def test_the_tasks_own_row_is_told_of_in_the_same_way(work_off: Callable[..., Any], alice: Context) -> None:
    with use(alice):
        write_room.delay("by-task")
    work_off()
    events = Event.objects.filter(object_type="tasks.taskrun").order_by("id")

    assert {(event.actor_label, event.request_id) for event in events} == {("alice", alice.request_id)}
    origins = [event.origin for event in events]
    assert (origins[0], origins[-1]) == ("http", "task")


def test_tasks_that_run_one_after_another_do_not_inherit(work_off: Callable[..., Any], alice: Context) -> None:
    with use(alice):
        write_room.delay("one")
    write_room.delay("two")
    work_off()
    work_off()
    event = rooms()["two"]

    assert rooms()["one"].actor_label == "alice"
    assert (event.actor_type, event.actor_label or "") == ("system", "")
    assert event.request_id not in ("", alice.request_id)
    assert not {"reason", "token_id", "address"} & set(event.context)


def test_every_attempt_belongs_to_the_same_request(work_off: Callable[..., Any], alice: Context) -> None:
    with use(alice):
        result = write_in_turn.delay()
    for _ in range(3):
        work_off()
    events = rooms()

    assert set(events) == {"attempt-1", "attempt-2", "attempt-3"}
    for event in events.values():
        assert told(event) == ("user", "7", "alice", "task", "tests.write_in_turn", alice.request_id)
        assert (event.task_id, event.context["reason"]) == (result.id, "ticket 7")
    attempts = {slug: event.context.get("attempt") for slug, event in events.items()}
    assert attempts == {"attempt-1": None, "attempt-2": "2", "attempt-3": "3"}


def test_a_task_of_a_task_names_both(work_off: Callable[..., Any], alice: Context) -> None:
    with use(alice):
        outer = write_and_ask_for_another.delay()
    work_off()
    work_off()
    first, second = rooms()["first"], rooms()["second"]

    assert told(second) == ("user", "7", "alice", "task", "tests.write_room", alice.request_id)
    assert (first.task_id, second.context["parent_task_id"]) == (outer.id, outer.id)
    assert second.context["cause"] == "tests.write_and_ask_for_another"
    assert first.context["reason"] == second.context["reason"] == "passed on"


def test_a_task_published_later_by_the_outbox_still_belongs_to_its_request(
    work_off: Callable[..., Any], alice: Context, broker_is_down: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with use(alice):
        write_room.delay("late")
    assert TaskRun.objects.get().state == State.QUEUED
    monkeypatch.undo()
    with use(Context(request_id=new_request_id(), origin="task", actor_source=Actor("system"))):
        TaskRun.objects.update(enqueued_at="2026-01-01T00:00Z")
        sweep()
    work_off()

    assert told(rooms()["late"]) == ("user", "7", "alice", "task", "tests.write_room", alice.request_id)


def test_a_task_that_nobody_asked_for_is_the_systems(work_off: Callable[..., Any], celery_app: Any) -> None:
    celery_app.send_task("tests.write_room", ["by-name"])
    work_off()
    (event,) = rooms().values()

    assert told(event)[:5] == ("system", "", "", "task", "tests.write_room")
    assert event.request_id
    assert event.task_id
    assert "cause" not in event.context


def test_a_stranger_who_asks_for_a_task_stays_a_stranger(work_off: Callable[..., Any]) -> None:
    with use(Context(request_id=new_request_id(), origin="http", operation="POST /")):
        write_room.delay("by-stranger")
    work_off()

    assert rooms()["by-stranger"].actor_type == "anonymous"


@pytest.mark.parametrize(("task", "arguments"), [("tests.housekeeping", ()), ("tests.write_room", ("scheduled",))])
def test_what_beat_sends_is_done_by_the_system(
    work_off: Callable[..., Any], celery_app: Any, task: str, arguments: tuple[str, ...]
) -> None:
    scheduler = Scheduler(app=celery_app, lazy=True)
    entry = scheduler.Entry(name=task, task=task, schedule=15, args=arguments, kwargs={}, options={}, app=celery_app)

    def beat() -> None:
        signals.beat_init.send(sender=None)
        scheduler.apply_async(entry, advance=False)
        scheduler.apply_async(entry, advance=False)

    contextvars.copy_context().run(beat)
    work_off()
    (event,) = rooms().values()

    assert told(event)[:5] == ("system", "", "", "task", task)
    assert event.context["cause"] == "beat"
    sent = Event.objects.filter(action="tasks.taskrun.created", origin="beat", actor_type="system")
    if arguments:  # a recorded one: its row is beat's doing, under the id of the task's request, one for each
        assert event.request_id in {row.request_id for row in sent}
        assert len({row.request_id for row in sent}) == 2
    assert current() == Context()
