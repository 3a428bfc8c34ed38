"""A task is a row first, and a message second."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from celery import group, shared_task
from celery.exceptions import Ignore, QueueNotFound
from django.db import transaction
from kombu import Connection

from tasks.messages import thaw
from tasks.models import Outcome, State, TaskRun
from telemetry import context

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE = "redis://127.0.0.1:1/0"
_seen: list[Any] = []


@pytest.fixture(autouse=True)
def _forget_seen() -> None:
    _seen.clear()


@shared_task(name="tests.add")
def add(a: int, b: int = 0) -> int:
    _seen.append(a + b)
    return a + b


@shared_task(name="tests.fail")
def fail(text: str) -> None:
    raise ValueError(text)


@shared_task(name="tests.fail_twice", bind=True, autoretry_for=(OSError,), retry_backoff=True, max_retries=3)
def fail_twice(self: Any) -> str:
    if self.request.retries < 2:
        raise OSError(f"attempt {self.request.retries}")
    return "done"


@shared_task(name="tests.unrecorded", is_recorded=False)
def unrecorded() -> None:
    _seen.append("unrecorded")


def only_run() -> TaskRun:
    return TaskRun.objects.get()


def test_a_commit_publishes_and_only_then(take_message: Callable[..., Any]) -> None:
    with transaction.atomic():
        result = add.delay(1, b=2)
        assert only_run().state == State.QUEUED
        assert take_message() is None
    message = take_message()
    assert message.headers["id"] == result.id
    assert message.headers["task"] == "tests.add"
    run = only_run()
    assert (str(run.id), run.name, run.queue, run.state) == (result.id, "tests.add", "default", State.QUEUED)
    assert run.sent_at is not None
    assert run.arguments == {"args": [1], "kwargs": {"b": 2}}


def test_a_rollback_leaves_no_row_and_no_message(take_message: Callable[..., Any]) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        add.delay(1)
        raise RuntimeError
    assert not TaskRun.objects.exists()
    assert take_message() is None


def test_a_savepoint_rolled_back_takes_its_task_along(take_message: Callable[..., Any]) -> None:
    with transaction.atomic():
        kept = add.delay(1)
        with pytest.raises(RuntimeError), transaction.atomic():
            add.delay(2)
            raise RuntimeError
    assert str(only_run().id) == kept.id
    assert take_message().headers["id"] == kept.id
    assert take_message() is None


def test_in_autocommit_it_is_published_at_once(take_message: Callable[..., Any]) -> None:
    add.delay(1)
    assert take_message() is not None
    assert only_run().sent_at is not None


def test_options_pass_through(take_message: Callable[..., Any]) -> None:
    result = add.apply_async((1,), countdown=30, queue="notifications", expires=7200)
    message = take_message("notifications")
    run = only_run()
    assert run.queue == "notifications"
    assert message.headers["eta"] == run.eta.isoformat()
    assert message.headers["expires"] > message.headers["eta"]
    assert message.headers["id"] == result.id


def test_wrong_arguments_hurt_the_caller_and_leave_nothing(take_message: Callable[..., Any]) -> None:
    with pytest.raises(TypeError):
        add.delay()
    with pytest.raises(TypeError):
        add.delay(object())
    assert not TaskRun.objects.exists()
    assert take_message() is None


def test_an_unknown_queue_hurts_the_caller_and_leaves_nothing() -> None:
    with pytest.raises(QueueNotFound):
        add.apply_async((1,), queue="nowhere")
    assert not TaskRun.objects.exists()


def test_a_given_id_must_be_a_uuid() -> None:
    with pytest.raises(ValueError, match="is a UUID"):
        add.apply_async((1,), task_id="mine")
    own = str(uuid.uuid4())
    assert add.apply_async((1,), task_id=own).id == own
    assert str(only_run().id) == own


def test_the_context_is_in_the_row_and_in_the_message(take_message: Callable[..., Any]) -> None:
    cause = context.Context(
        request_id="req-12345678",
        origin="http",
        operation="POST /blog/<slug>/",
        actor_source=context.Actor("user", "7", "reader"),
        trace_id="a" * 32,
        task_id="outer-task",
    )
    with transaction.atomic(), context.use(cause):
        add.delay(1)
    run = only_run()
    assert (run.request_id, run.trace_id, run.parent_task_id) == ("req-12345678", "a" * 32, "outer-task")
    assert (run.actor_type, run.actor_id, run.actor_label) == ("user", "7", "reader")
    carried = take_message().headers["glasshouse_context"]
    assert carried["request_id"] == "req-12345678"  # though the commit came after the block
    assert carried["actor_label"] == "reader"


def test_a_broker_that_is_down_does_not_hurt_the_caller(take_message: Callable[..., Any]) -> None:
    with Connection(NOWHERE, transport_options={"max_retries": 0}) as connection:
        result = add.apply_async((1,), connection=connection)
    assert str(only_run().id) == result.id
    assert only_run().state == State.QUEUED
    assert only_run().sent_at is None
    assert take_message() is None


def test_a_success_is_noted(work_off: Callable[..., Any]) -> None:
    add.delay(1, 2)
    work_off()
    run = only_run()
    assert _seen == [3]
    assert (run.state, run.attempts, run.error, run.result) == (State.SUCCEEDED, 1, "", 3)
    assert run.enqueued_at <= run.sent_at <= run.started_at <= run.finished_at
    assert run.message is None
    assert run.queue_wait_seconds is not None
    assert run.queue_wait_seconds >= 0
    assert run.run_seconds is not None


def test_a_failure_is_noted_with_its_error_capped(work_off: Callable[..., Any]) -> None:
    fail.delay("x\x00" * 5_000)
    work_off()
    run = only_run()
    assert run.state == State.DEAD
    assert run.error.startswith("ValueError: xxx")
    assert len(run.error) == 2_000
    assert run.finished_at is not None
    assert run.message is not None


def test_retries_are_counted_and_end_well(work_off: Callable[..., Any]) -> None:
    fail_twice.delay()
    work_off()
    run = only_run()
    assert (run.state, run.attempts, run.error) == (State.RETRYING, 1, "")
    assert [(one.outcome, one.error) for one in run.tries] == [("retried", "OSError: attempt 0")]
    work_off()
    work_off()
    run = only_run()
    assert (run.state, run.attempts, run.error) == (State.SUCCEEDED, 3, "")


def test_a_retry_that_the_broker_refuses_is_queued_again(
    work_off: Callable[..., Any], celery_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_twice.delay()
    with Connection(NOWHERE, transport_options={"max_retries": 0}) as dead:
        options = fail_twice._get_exec_options()
        monkeypatch.setattr(fail_twice, "_exec_options", {**options, "connection": dead})
        work_off()
    run = only_run()
    assert (run.state, run.sent_at) == (State.RETRYING, None)
    assert thaw(run.message or "")[2]["retries"] == 1
    assert run.eta is not None


@pytest.mark.parametrize("outcome", Outcome.values)
def test_the_message_of_a_finished_task_is_not_run_again(
    outcome: str, take_message: Callable[..., Any], run_message: Callable[[Any], Any]
) -> None:
    add.delay(1)
    message = take_message()
    run_message(message)
    TaskRun.objects.update(outcome=outcome)
    traced = run_message(message)
    assert isinstance(traced.info.retval, Ignore)
    assert _seen == [1]
    assert only_run().attempts == 1
    assert (only_run().state, only_run().duplicates) == (outcome, 1)


def test_a_task_sent_by_name_gets_its_row_at_the_start(work_off: Callable[..., Any], celery_app: Any) -> None:
    celery_app.send_task("tests.add", (5,))
    assert not TaskRun.objects.exists()
    work_off()
    run = only_run()
    assert (run.state, run.attempts, run.queue, run.arguments["args"]) == (State.SUCCEEDED, 1, "default", [5])


def test_housekeeping_leaves_no_row(work_off: Callable[..., Any]) -> None:
    unrecorded.delay()
    work_off()
    assert _seen == ["unrecorded"]
    assert not TaskRun.objects.exists()


def test_each_task_of_a_chain_has_its_row(work_off: Callable[..., Any]) -> None:
    (add.s(1) | add.s(2)).delay()
    work_off()
    work_off()
    assert _seen == [1, 3]
    assert list(TaskRun.objects.order_by("enqueued_at").values_list("state", flat=True)) == [State.SUCCEEDED] * 2


def test_a_group_that_is_asked_for_in_a_transaction_is_sent_on_its_commit(take_message: Callable[..., Any]) -> None:
    with transaction.atomic():
        result = group(add.s(1), add.s(2)).apply_async()
        assert take_message() is None
    sent = {take_message().headers["id"], take_message().headers["id"]}
    assert sent == {one.id for one in result.results}
    assert not TaskRun.objects.filter(sent_at=None).exists()
