"""What a worker does with a run's attempts: begins, ends, loses them; and who comes too late writes nothing."""

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from celery import shared_task
from celery.exceptions import Ignore, Reject, WorkerLostError
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from tasks import statements, worker
from tasks.actions import attempts
from tasks.actions.sweeping import expire_leases
from tasks.errors import NotPossibleError
from tasks.messages import thaw
from tasks.models import AttemptOutcome, Outcome, State, TaskAttempt, TaskRun
from telemetry.context import Context, use
from telemetry.metrics import exposed_registry

pytestmark = pytest.mark.django_db(transaction=True)

WorkOff = Callable[..., Any]
_seen: list[Any] = []
_errbacks: list[str] = []


@pytest.fixture(autouse=True)
def _forget(settings: Any) -> None:
    settings.TASKS_UNSENT_SECONDS = settings.TASKS_LOST_SECONDS = settings.TASKS_BACKOFF_SECONDS = 0
    _seen.clear()
    _errbacks.clear()


@shared_task(name="tests.attempts.note")
def note(text: Any = "") -> Any:
    _seen.append(text)
    return text


@shared_task(name="tests.attempts.errback")
def errback(run_id: str) -> None:
    _errbacks.append(run_id)


@shared_task(name="tests.attempts.bury", max_attempts=1)
def bury(run_id: str) -> None:
    _seen.append(("buried", run_id))


@shared_task(name="tests.attempts.bury_wrongly")
def bury_wrongly() -> None:
    """Take no run's id, as a dead-letter task should."""


@shared_task(name="tests.attempts.fail", dead_letter="tests.attempts.bury")
def fail() -> None:
    raise ValueError("no")


@shared_task(name="tests.attempts.fail_badly", dead_letter="tests.attempts.bury_wrongly", max_attempts=1)
def fail_badly() -> None:
    raise ValueError("no")


@shared_task(name="tests.attempts.raise_again", bind=True, max_retries=2, retry_backoff=False)
def retry_always(self: Any, **options: Any) -> None:
    _seen.append(self.request.retries)
    raise self.retry(countdown=0, exc=ValueError("again"), **options)


@shared_task(name="tests.attempts.retry_in_transaction", bind=True)
def retry_in_transaction(self: Any) -> None:
    with transaction.atomic():
        note.delay("rolled back")
        raise self.retry(countdown=0)


@shared_task(name="tests.attempts.retry_without_throw", bind=True)
def retry_without_throw(self: Any, text: str = "first") -> str:
    _seen.append(text)
    if text == "first":
        self.retry(args=("second",), countdown=0, throw=False)
    return text


@shared_task(name="tests.attempts.nobody_wants_it", bind=True, ignore_result=True)
def nobody_wants_it(self: Any) -> None:
    _seen.append(self.request.retries)
    if not self.request.retries:
        raise self.retry(countdown=0)


@shared_task(name="tests.attempts.refuse")
def refuse(how: str) -> None:
    raise Ignore if how == "ignore" else Reject("not mine", requeue=how == "requeue")


@shared_task(name="tests.attempts.replace", bind=True)
def replace(self: Any) -> None:
    raise self.replace(note.si("instead"))


def begun(task: Any, *args: Any, number: int = 1, **options: Any) -> TaskRun:
    """Enqueue a task and begin its attempt, as a child of this worker would."""
    run_id = uuid.UUID(task.apply_async(args, **options).id)
    assert attempts.claim_run(run_id, worker=worker.name()) == number
    return TaskRun.objects.get(id=run_id)


def outcomes(run: TaskRun) -> list[tuple[int, str]]:
    return [(one.number, one.outcome) for one in TaskRun.objects.get(id=run.id).tries]


def end_lease(run: TaskRun) -> None:
    TaskRun.objects.filter(id=run.id).update(lease_expires_at=timezone.now() - timezone.timedelta(seconds=1))


def value(name: str, **labels: str) -> float:
    return exposed_registry().get_sample_value(name, labels) or 0.0


# --- beginning and ending ------------------------------------------------------------------------------------------


def test_ten_workers_that_claim_at_once_begin_one_attempt() -> None:
    run_id = uuid.UUID(note.delay().id)
    begin = threading.Barrier(10)
    numbers: list[int | None] = []

    def claim() -> None:
        try:
            begin.wait(60)
            numbers.append(attempts.claim_run(run_id, worker=f"w/{threading.get_ident()}"))
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(numbers, key=str) == [1, *[None] * 9]
    assert len(TaskRun.objects.get().tries) == 1


def test_a_run_that_goes_well_is_one_row_and_tells_of_its_attempt_all_the_same() -> None:
    run = begun(note)
    (present,) = run.tries
    assert (present.number, present.worker, present.outcome, present.ended_at) == (1, worker.name(), "", None)
    assert attempts.finish_run(run.id, 1, Outcome.SUCCEEDED)
    run.refresh_from_db()
    (only,) = run.tries
    assert (only.number, only.worker, only.outcome) == (1, worker.name(), "succeeded")
    assert (only.started_at, only.ended_at) == (run.started_at, run.finished_at)
    assert not TaskAttempt.objects.exists()


def test_an_attempt_has_the_trace_it_ran_in() -> None:
    run_id = uuid.UUID(note.delay().id)
    for number, trace_id in enumerate(("a" * 32, "b" * 32), 1):
        with use(Context(trace_id=trace_id)):
            attempts.claim_run(run_id, worker=worker.name())
        if number == 1:
            attempts.back_off_run(run_id, 1, outcome=AttemptOutcome.RETRIED, delay_seconds=0)
    assert [one.trace_id for one in TaskRun.objects.get(id=run_id).tries] == ["a" * 32, "b" * 32]


def test_an_attempt_that_an_older_release_began_has_one_row_however_it_ends() -> None:
    for number, ends in enumerate((Outcome.SUCCEEDED, Outcome.DEAD)):
        run = begun(note)
        TaskAttempt.objects.create(run=run, number=1, started_at=run.started_at, worker=run.worker)
        assert outcomes(run) == [(1, "")]
        assert attempts.finish_run(run.id, 1, ends)
        assert outcomes(run) == [(1, ("succeeded", "failed")[number])]


def test_a_run_is_found_by_its_id_whatever_else_waits() -> None:
    for _ in range(3):
        note.delay()
    run_id = uuid.UUID(note.delay().id)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # of a small table the planner would rather read all
        attempts.claim_run(run_id, worker=worker.name())
        statements.rows_of("progress", run_id=run_id, attempt=1, done=1, total=2, note="")
        statements.rows_of("hold", run_id=run_id, attempt=1, idle_milliseconds="1000")
        attempts.back_off_run(run_id, 1, outcome=AttemptOutcome.RETRIED, delay_seconds=0)
        attempts.claim_run(run_id, worker=worker.name())
        statements.count_of("renew", run_ids=[run_id], worker=worker.name(), lease_seconds=30)
        assert attempts.finish_run(run_id, 2, Outcome.SUCCEEDED)
        # Of this transaction alone; by the index of what waits each would read all of that.
        cursor.execute("SELECT pg_stat_get_xact_numscans('tasks_taskrun_unfinished'::regclass)")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT pg_stat_get_xact_numscans('tasks_taskrun_pkey'::regclass)")
        assert cursor.fetchone()[0] >= 7


def test_an_old_attempt_ends_nothing_and_is_counted() -> None:
    run = begun(note)
    before = value("tasks_fenced_total")
    assert attempts.lose_attempt(run.id, 1, WorkerLostError("gone")) is False
    assert attempts.claim_run(run.id, worker="other") == 2
    assert not attempts.finish_run(run.id, 1, Outcome.SUCCEEDED, result="old")
    assert not attempts.back_off_run(run.id, 1, outcome=AttemptOutcome.RETRIED, delay_seconds=0)
    run.refresh_from_db()
    assert (run.state, run.result) == (State.RUNNING, None)
    assert outcomes(run) == [(1, "lost"), (2, "")]
    assert value("tasks_fenced_total") == before + 2


def test_a_run_that_dies_tells_its_dead_letter_task_once(work_off: WorkOff) -> None:
    result = fail.delay()
    work_off()
    assert TaskRun.objects.get(id=result.id).state == State.DEAD
    work_off()
    assert _seen == [("buried", result.id)]


def test_a_dead_letter_task_that_cannot_be_asked_for_keeps_no_run_from_dying(work_off: WorkOff) -> None:
    run = TaskRun.objects.get(id=fail_badly.delay().id)
    work_off()
    run.refresh_from_db()
    assert (run.state, TaskRun.objects.count()) == (State.DEAD, 1)
    lost = begun(fail_badly)
    end_lease(lost)
    expire_leases()
    lost.refresh_from_db()
    assert (lost.state, outcomes(lost)) == (State.DEAD, [(1, "lost")])


@pytest.mark.parametrize(
    ("how", "state", "tried"),
    [
        ("ignore", State.SUCCEEDED, "succeeded"),
        ("reject", State.DEAD, "failed"),
        ("requeue", State.RETRYING, "retried"),
    ],
)
def test_what_raises_ignore_or_reject_is_at_an_end(how: str, state: str, tried: str, work_off: WorkOff) -> None:
    run = TaskRun.objects.get(id=refuse.delay(how).id)
    work_off()
    run.refresh_from_db()
    assert (run.state, outcomes(run)) == (state, [(1, tried)])


def test_a_task_with_a_row_is_not_replaced(work_off: WorkOff) -> None:
    run = TaskRun.objects.get(id=replace.delay().id)
    traced = work_off()
    assert isinstance(traced.info.retval, NotPossibleError)
    run.refresh_from_db()
    assert (run.state, TaskRun.objects.count()) == (State.DEAD, 1)


# --- retries -------------------------------------------------------------------------------------------------------


def test_retries_end_where_the_task_says(work_off: WorkOff) -> None:
    run = TaskRun.objects.get(id=retry_always.delay().id)
    for _ in range(3):
        work_off()
    run.refresh_from_db()
    assert (run.state, run.error, _seen) == (State.DEAD, "ValueError: again", [0, 1, 2])
    assert outcomes(run) == [(1, "retried"), (2, "retried"), (3, "failed")]


@pytest.mark.parametrize(("most", "begun_times"), [(0, 1), (1, 2)])
def test_a_call_of_retry_may_say_how_often(most: int, begun_times: int, work_off: WorkOff) -> None:
    run = TaskRun.objects.get(id=retry_always.delay(max_retries=most).id)
    for _ in range(begun_times):
        work_off()
    run.refresh_from_db()
    assert (run.state, run.attempts) == (State.DEAD, begun_times)


def test_lost_attempts_count_against_retries_and_the_errback_is_told(work_off: WorkOff) -> None:
    run = begun(retry_always, link_error=errback.s())
    for number in (1, 2):
        attempts.lose_attempt(run.id, number, WorkerLostError("gone"))
        if number == 1:
            assert attempts.claim_run(run.id, worker=worker.name()) == 2
    work_off()
    run.refresh_from_db()
    assert (run.state, outcomes(run)) == (State.DEAD, [(1, "lost"), (2, "lost"), (3, "failed")])
    work_off()
    assert _errbacks == [str(run.id)]


def test_a_retry_outlives_the_roll_back_of_the_task_that_asked_for_it(
    work_off: WorkOff, take_message: Callable[..., Any]
) -> None:
    run = TaskRun.objects.get(id=retry_in_transaction.delay().id)
    work_off()
    run.refresh_from_db()
    assert (run.state, run.attempts) == (State.RETRYING, 1)
    assert take_message().headers["id"] == str(run.id)
    assert take_message() is None
    assert TaskRun.objects.count() == 1


def test_a_retry_that_is_not_thrown_has_other_arguments(work_off: WorkOff) -> None:
    run = TaskRun.objects.get(id=retry_without_throw.delay().id)
    work_off()
    run.refresh_from_db()
    assert run.state == State.RETRYING
    assert thaw(run.message or "")[0] == ["second"]
    work_off()
    run.refresh_from_db()
    assert (run.state, run.result, _seen) == (State.SUCCEEDED, "second", ["first", "second"])


def test_a_task_whose_result_nobody_wants_is_retried_as_well(work_off: WorkOff) -> None:
    run = TaskRun.objects.get(id=nobody_wants_it.delay().id)
    work_off()
    run.refresh_from_db()
    assert run.state == State.RETRYING
    work_off()
    run.refresh_from_db()
    assert (run.state, _seen) == (State.SUCCEEDED, [0, 1])


def test_a_cancelled_run_that_fails_or_is_lost_ends_instead_of_waiting_for_ever(work_off: WorkOff) -> None:
    retried = TaskRun.objects.get(id=retry_always.delay().id)
    TaskRun.objects.update(max_attempts=5)
    message_of = begun(note)
    TaskRun.objects.filter(id=message_of.id).update(cancel_requested_at=Now())
    attempts.lose_attempt(message_of.id, 1, WorkerLostError("gone"))
    message_of.refresh_from_db()
    assert (message_of.state, outcomes(message_of)) == (State.CANCELLED, [(1, "lost")])
    assert message_of.finished_at is not None
    attempts.claim_run(retried.id, worker=worker.name())
    TaskRun.objects.filter(id=retried.id).update(cancel_requested_at=Now())
    assert not attempts.back_off_run(retried.id, 1, outcome=AttemptOutcome.RETRIED, delay_seconds=0)
    retried.refresh_from_db()
    assert retried.state == State.CANCELLED
