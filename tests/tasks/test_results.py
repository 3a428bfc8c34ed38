"""Results, links, chains, groups and chords as people know them from Celery, with rows behind them."""

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from celery import chord, group, shared_task, states
from celery.exceptions import WorkerLostError
from celery.result import AsyncResult
from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.models import User
from tasks.actions import attempts, operating
from tasks.actions.sweeping import sweep
from tasks.backend import TaskError
from tasks.errors import NotPossibleError
from tasks.models import State, TaskRun

pytestmark = pytest.mark.django_db(transaction=True)

WorkOff = Callable[..., Any]
_seen: list[Any] = []


@pytest.fixture(autouse=True)
def _forget(settings: Any) -> None:
    settings.TASKS_UNSENT_SECONDS = settings.TASKS_LOST_SECONDS = settings.TASKS_BACKOFF_SECONDS = 0
    _seen.clear()


@shared_task(name="tests.results.add")
def add(a: int, b: int) -> int:
    _seen.append(a + b)
    return a + b


@shared_task(name="tests.results.total")
def total(numbers: list[int]) -> int:
    _seen.append(sum(numbers))
    return sum(numbers)


@shared_task(name="tests.results.fail")
def fail(*_args: Any) -> None:
    raise ValueError("no")


@shared_task(name="tests.results.notice")
def notice(run_id: str) -> None:
    _seen.append(("told", run_id))


@shared_task(name="tests.results.give")
def give(kind: str) -> Any:
    return {"large": "x" * 20_000, "object": object(), "keys": {1: "one"}, "nul": "a\x00b"}[kind]


@shared_task(name="tests.results.same", unique=True)
def same(key: str) -> None:
    _seen.append(key)


@pytest.fixture
def work_all(take_message: Callable[..., Any], run_message: Callable[[Any], Any]) -> Callable[[], int]:
    """Return a function that runs messages until none is left; what has to wait a moment is sent by the sweep."""

    def work() -> int:
        count = 0
        while True:
            message = take_message()
            if message is None:
                TaskRun.objects.filter(outcome="").exclude(eta=None).update(eta=Now(), sent_at=None)
                if not sweep():
                    return count
                continue
            run_message(message)
            count += 1
            assert count < 50, "it doesn't end"

    return work


def run_of(result: Any) -> TaskRun:
    return TaskRun.objects.get(id=result.id)


# --- results -----------------------------------------------------------------------------------------------------


def test_a_result_tells_the_state_and_the_value(work_off: WorkOff) -> None:
    result = add.delay(1, 2)
    assert (result.state, result.ready()) == (states.PENDING, False)
    attempts.claim_run(uuid.UUID(result.id), worker="w/1")
    assert AsyncResult(result.id).state == states.STARTED
    attempts.lose_attempt(uuid.UUID(result.id), 1, WorkerLostError("gone"))
    assert AsyncResult(result.id).state == states.RETRY
    work_off()
    assert (result.get(timeout=60), result.state) == (3, states.SUCCESS)
    assert AsyncResult(str(uuid.uuid4())).state == states.PENDING


def test_the_result_of_what_died_or_was_cancelled_raises(work_off: WorkOff) -> None:
    dead, cancelled = fail.delay(), add.delay(1, 1)
    work_off()
    TaskRun.objects.filter(id=cancelled.id).update(outcome="cancelled", error="Cancelled by operator")
    assert (dead.state, cancelled.state) == (states.FAILURE, states.REVOKED)
    with pytest.raises(TaskError, match="ValueError: no"):
        dead.get(timeout=60)
    with pytest.raises(TaskError, match="Cancelled by operator"):
        cancelled.get(timeout=60)


@pytest.mark.parametrize(("kind", "kept"), [("large", None), ("object", None), ("keys", {"1": "one"}), ("nul", "ab")])
def test_a_result_that_cannot_be_kept_does_not_hurt_its_task(kind: str, kept: Any, work_off: WorkOff) -> None:
    result = give.delay(kind)
    work_off()
    assert (run_of(result).state, result.get(timeout=60)) == (State.SUCCEEDED, kept)


# --- what follows ------------------------------------------------------------------------------------------------


def test_a_link_follows_a_success_once_though_its_task_is_run_again(
    work_off: WorkOff, work_all: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = add.s(10)
    result = add.apply_async((1, 2), link=link)
    with monkeypatch.context() as patched:  # the child dies when it has sent what follows, and can't say that it's done
        patched.setattr(attempts, "finish_run", lambda *_, **__: False)
        work_off()
    assert TaskRun.objects.count() == 2
    attempts.lose_attempt(uuid.UUID(result.id), 1, WorkerLostError("gone"))
    work_all()
    assert sorted(_seen) == [3, 3, 13]
    assert set(TaskRun.objects.values_list("state", "attempts")) == {(State.SUCCEEDED, 2), (State.SUCCEEDED, 1)}
    assert link.options == {}  # the caller's own isn't touched


def test_an_errback_is_told_once_the_task_is_dead(work_all: Callable[[], int]) -> None:
    result = fail.apply_async(link_error=notice.s())
    work_all()
    assert _seen == [("told", result.id)]


def test_a_chain_whose_middle_step_is_lost_goes_on(work_off: WorkOff, work_all: Callable[[], int]) -> None:
    result = (add.s(1, 2) | add.s(10) | add.s(100)).delay()
    work_off()
    middle = TaskRun.objects.get(outcome="")
    attempts.claim_run(middle.id, worker="gone/1")
    attempts.lose_attempt(middle.id, 1, WorkerLostError("gone"))
    work_all()
    assert result.get(timeout=60) == 113
    assert _seen == [3, 13, 113]
    assert TaskRun.objects.count() == 3


def test_a_chain_ends_with_the_step_that_dies(work_all: Callable[[], int]) -> None:
    result = (add.s(1, 2) | fail.s() | add.s(100)).delay()
    work_all()
    assert _seen == [3]
    assert TaskRun.objects.count() == 2
    with pytest.raises(TaskError, match="ValueError: no"):
        result.get(timeout=60)


def test_a_group_gives_all_results(work_all: Callable[[], int]) -> None:
    result = group(add.s(number, 1) for number in range(5)).apply_async()
    work_all()
    assert result.get(timeout=60) == [1, 2, 3, 4, 5]
    assert TaskRun.objects.filter(state=State.SUCCEEDED).count() == 5


def test_a_chord_calls_its_body_though_the_broker_loses_everything(
    work_all: Callable[[], int], redis_client: Any
) -> None:
    result = chord((add.s(number, 1) for number in range(3)), total.s())()
    redis_client.delete(*redis_client.scan_iter("default*"))
    work_all()
    assert result.get(timeout=60) == 6
    assert _seen.count(6) == 1


def test_a_chord_that_is_rolled_back_leaves_nothing(take_message: Callable[..., Any]) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        chord((add.s(number, 1) for number in range(3)), total.s())()
        raise RuntimeError
    assert not TaskRun.objects.exists()
    assert take_message() is None


def test_a_chord_with_a_dead_part_tells_the_errback_and_not_the_body(work_all: Callable[[], int]) -> None:
    result = chord([add.s(1, 1), fail.s()], total.s().on_error(notice.s()))()
    work_all()
    assert [one for one in _seen if isinstance(one, tuple)] == [("told", result.id)]
    assert total.name not in TaskRun.objects.values_list("name", flat=True)
    with pytest.raises(TaskError, match="ValueError: no"):
        result.get(timeout=60)


# --- queues, priorities, uniqueness ------------------------------------------------------------------------------


def test_a_higher_priority_goes_first_within_its_queue(work_off: WorkOff) -> None:
    for number, priority in enumerate([9, 5, 0]):
        add.apply_async((number, 0), priority=priority)
    add.apply_async((10, 0), queue="notifications", priority=9)
    for _ in range(3):
        work_off()
    assert _seen == [2, 1, 0]
    work_off("notifications")
    assert list(TaskRun.objects.order_by("enqueued_at").values_list("priority", "queue")) == [
        (9, "default"),
        (5, "default"),
        (0, "default"),
        (9, "notifications"),
    ]


def test_ten_at_once_with_the_same_key_are_one_run(take_message: Callable[..., Any]) -> None:
    begin = threading.Barrier(10)
    ids: list[str] = []

    def ask() -> None:
        try:
            begin.wait(60)
            ids.append(same.delay("k").id)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(ids) == 10
    assert {uuid.UUID(one) for one in ids} == {TaskRun.objects.get().id}
    assert take_message() is not None
    assert take_message() is None


def test_a_key_is_free_again_once_its_run_is_over(work_off: WorkOff) -> None:
    first = same.delay("k")
    assert same.delay("other").id != first.id
    assert same.delay("k").id == first.id
    work_off()
    assert same.delay("k").id != first.id
    one = add.apply_async((1, 1), unique_key="mine")
    assert add.apply_async((2, 2), unique_key="mine").id == one.id


# --- operators ---------------------------------------------------------------------------------------------------


@pytest.fixture
def operator(django_user_model: type[User]) -> User:
    return django_user_model.objects.create_superuser("operator", password="x" * 12)


def test_a_waiting_run_that_is_cancelled_never_begins(operator: User, work_off: WorkOff) -> None:
    run = run_of(add.delay(1, 1))
    operating.cancel_run(run, actor=operator, reason="not wanted")
    work_off()
    run.refresh_from_db()
    assert (run.state, run.attempts, _seen) == (State.CANCELLED, 0, [])
    with pytest.raises(NotPossibleError):
        operating.cancel_run(run, actor=operator, reason="again")


def test_a_cancelled_run_at_work_keeps_its_success_if_it_never_looks(operator: User, run_message: Any) -> None:
    run = run_of(add.delay(1, 1))
    attempts.claim_run(run.id, worker="w/1")
    operating.cancel_run(run, actor=operator, reason="too late")
    run.refresh_from_db()
    assert run.state == State.RUNNING
    attempts.finish_run(run.id, 1, attempts.Outcome.SUCCEEDED, result=2)
    run.refresh_from_db()
    assert run.state == State.SUCCEEDED


def test_what_died_can_be_retried_with_all_its_attempts_anew(operator: User, work_off: WorkOff) -> None:
    run = run_of(fail.apply_async(expires=3600))
    work_off()
    operating.retry_run(run, actor=operator, reason="mended")
    run.refresh_from_db()
    assert (run.state, run.max_attempts) == (State.RETRYING, 1 + fail.most_attempts)
    work_off()
    run.refresh_from_db()
    assert (run.state, run.attempts, len(run.tries)) == (State.DEAD, 2, 2)


def test_a_paused_queue_begins_nothing_and_goes_on_where_it_stopped(operator: User, work_off: WorkOff) -> None:
    waiting = run_of(add.delay(1, 1))
    other = run_of(add.apply_async((2, 2), queue="notifications"))
    operating.pause_queue("default", actor=operator, reason="the disk is full")
    work_off()
    work_off("notifications")
    waiting.refresh_from_db()
    other.refresh_from_db()
    assert (waiting.state, waiting.sent_at, other.state) == (State.QUEUED, None, State.SUCCEEDED)
    assert sweep() == 0
    operating.resume_queue("default", actor=operator, reason="there's room")
    assert sweep() == 1
    work_off()
    waiting.refresh_from_db()
    assert (waiting.state, _seen) == (State.SUCCEEDED, [4, 2])
