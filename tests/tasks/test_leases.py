"""What becomes of an attempt whose child, worker, connection or broker is gone."""

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from celery import shared_task
from celery.app.task import Context
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from celery.worker import state as worker_state
from django.db import connection, transaction
from django.utils import timezone

from tasks import worker
from tasks.actions import attempts
from tasks.actions.sweeping import expire_leases, send_due, sweep
from tasks.models import Outcome, State, TaskRun
from telemetry.metrics import exposed_registry

pytestmark = pytest.mark.django_db(transaction=True)

WorkOff = Callable[..., Any]


@pytest.fixture(autouse=True)
def _at_once(settings: Any) -> None:
    settings.TASKS_UNSENT_SECONDS = settings.TASKS_LOST_SECONDS = settings.TASKS_BACKOFF_SECONDS = 0


@shared_task(name="tests.leases.note")
def note(text: Any = "") -> Any:
    return text


@shared_task(name="tests.leases.errback")
def errback(run_id: str) -> None:
    """Be told."""


@shared_task(name="tests.leases.soft", bind=True)
def run_out_of_time(self: Any) -> None:
    raise SoftTimeLimitExceeded


@shared_task(name="tests.leases.away")
def find_the_database_away() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


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


# --- what the parent says for a child that can't -------------------------------------------------------------------


def test_a_lost_child_is_tried_again_and_no_failure_is_told(celery_app: Any) -> None:
    run = begun(note, link_error=errback.s())
    request = note.request_stack.top or type("Request", (), {"errbacks": [errback.s()], "chord": None, "chain": None})
    celery_app.backend.mark_as_failure(str(run.id), WorkerLostError("signal 9"), request=request)
    run.refresh_from_db()
    assert (run.state, outcomes(run)) == (State.RETRYING, [(1, "lost")])
    assert TaskRun.objects.count() == 1  # no errback


def test_a_failure_of_a_run_that_is_somebody_elses_by_now_is_not_told(celery_app: Any) -> None:
    run = begun(note)
    attempts.lose_attempt(run.id, 1, WorkerLostError("gone"))
    attempts.claim_run(run.id, worker="other/1")
    request = type("Request", (), {"errbacks": [errback.s()], "chord": None, "chain": None})
    for error in (WorkerLostError("signal 9"), TimeLimitExceeded(1), ValueError("unpicklable")):
        celery_app.backend.mark_as_failure(str(run.id), error, request=request)
    run.refresh_from_db()
    assert (run.state, run.attempts) == (State.RUNNING, 2)
    assert TaskRun.objects.count() == 1


def test_a_hard_time_limit_is_the_tasks_own_fault(celery_app: Any) -> None:
    run = begun(note)
    request = Context(id=str(run.id), errbacks=[errback.s()], delivery_info={})
    for _ in range(2):
        celery_app.backend.mark_as_failure(str(run.id), TimeLimitExceeded(5), request=request)
    assert TaskRun.objects.filter(name=errback.name).count() == 1
    run.refresh_from_db()
    assert (run.state, outcomes(run)) == (State.DEAD, [(1, "failed")])
    assert "TimeLimitExceeded" in run.error


def test_a_soft_time_limit_is_an_error_as_others(work_off: WorkOff) -> None:
    run = TaskRun.objects.get(id=run_out_of_time.delay().id)
    work_off()
    run.refresh_from_db()
    assert (run.state, run.error) == (State.DEAD, "SoftTimeLimitExceeded: SoftTimeLimitExceeded()")


def test_what_expired_is_cancelled_and_can_be_retried_on_the_same_worker(celery_app: Any) -> None:
    run = TaskRun.objects.get(id=note.apply_async(expires=3600).id)
    worker_state.revoked.add(str(run.id))
    celery_app.backend.mark_as_revoked(str(run.id), "expired")
    run.refresh_from_db()
    assert (run.state, run.error) == (State.CANCELLED, "expired")
    assert str(run.id) not in worker_state.revoked


def test_a_task_at_work_that_is_revoked_by_force_is_cancelled(celery_app: Any) -> None:
    run = begun(note)
    celery_app.backend.mark_as_revoked(str(run.id), "terminated")
    run.refresh_from_db()
    assert (run.state, outcomes(run)) == (State.CANCELLED, [(1, "cancelled")])


def test_a_worker_that_is_being_stopped_gives_back_what_it_terminates(
    celery_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(note)
    monkeypatch.setattr(worker_state, "should_terminate", True)
    celery_app.backend.mark_as_revoked(str(run.id), "terminated")
    worker.release()
    sweep()
    run.refresh_from_db()
    assert (run.state, outcomes(run)) == (State.RETRYING, [(1, "lost")])


# --- leases --------------------------------------------------------------------------------------------------------


def test_a_worker_renews_the_leases_of_what_it_is_at_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, others, finished = begun(note), begun(note), begun(note)
    TaskRun.objects.filter(id=others.id).update(worker="other/1")
    attempts.finish_run(finished.id, 1, Outcome.SUCCEEDED)
    past = timezone.now() - timezone.timedelta(seconds=1)
    TaskRun.objects.filter(outcome="").update(lease_expires_at=past)
    monkeypatch.setattr(worker, "_active", lambda: [mine.id, others.id, finished.id])
    worker.renew()
    leases = dict(TaskRun.objects.values_list("id", "lease_expires_at"))
    assert leases[mine.id] > timezone.now()
    assert (leases[others.id], leases[finished.id]) == (past, None)


def test_a_run_that_its_task_has_locked_neither_holds_up_others_nor_is_taken_away(
    monkeypatch: pytest.MonkeyPatch, superuser: Any
) -> None:
    locked, free = begun(note), begun(note)
    TaskRun.objects.update(lease_expires_at=timezone.now() - timezone.timedelta(seconds=1))
    monkeypatch.setattr(worker, "_active", lambda: [locked.id, free.id])
    with superuser.transaction():
        superuser.execute("SELECT FROM tasks_taskrun WHERE id = %s FOR NO KEY UPDATE", [locked.id])
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = '60s'")
        worker.renew()
        assert expire_leases() == 1
    states = dict(TaskRun.objects.values_list("id", "state"))
    assert states == {locked.id: State.RUNNING, free.id: State.RUNNING}
    assert TaskRun.objects.get(id=free.id).lease_expires_at > timezone.now()


def test_a_lease_renewed_in_the_last_moment_is_kept() -> None:
    run = begun(note)
    assert attempts.lose_attempt(run.id, 1, WorkerLostError("late"), is_expired=True) is False
    run.refresh_from_db()
    assert run.state == State.RUNNING


def test_a_lost_attempt_is_counted_once_however_many_sweep() -> None:
    run = begun(note)
    end_lease(run)
    before = value("tasks_lost_attempts_total", task="tests.leases.note"), value("tasks_fenced_total")
    begin = threading.Barrier(4)

    def expire() -> None:
        try:
            begin.wait(60)
            expire_leases()
        finally:
            connection.close()

    threads = [threading.Thread(target=expire) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    after = value("tasks_lost_attempts_total", task="tests.leases.note"), value("tasks_fenced_total")
    assert after == (before[0] + 1, before[1])
    assert outcomes(run) == [(1, "lost")]


# --- the database ----------------------------------------------------------------------------------------------------


def test_a_database_that_fails_under_a_task_is_not_its_fault(work_off: WorkOff) -> None:
    run = TaskRun.objects.get(id=find_the_database_away.delay().id)
    work_off()
    run.refresh_from_db()
    assert (run.state, outcomes(run)) == (State.RETRYING, [(1, "retried")])


def test_a_connection_that_broke_meanwhile_is_replaced_at_the_end_and_at_the_next_start(
    work_off: WorkOff, superuser: Any
) -> None:
    first, second = note.delay("first"), note.delay("second")
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'glasshouse_app'"
    superuser.execute(others)
    work_off()  # its claim finds the connection broken
    run = begun(note, "third")
    superuser.execute(others)
    assert attempts.finish_run(run.id, 1, Outcome.SUCCEEDED)
    superuser.execute(others)
    work_off()
    assert TaskRun.objects.get(id=first.id).state == State.SUCCEEDED
    assert TaskRun.objects.get(id=second.id).state == State.SUCCEEDED


def test_in_a_transaction_nothing_is_done_twice(superuser: Any) -> None:
    run = begun(note)
    with pytest.raises(Exception, match="terminat"), transaction.atomic():
        note.delay("rolled back")
        superuser.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'glasshouse_app'")
        attempts.finish_run(run.id, 1, Outcome.SUCCEEDED)
    assert TaskRun.objects.get().state == State.RUNNING


# --- sending what is due -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("broker_is_down")
def test_a_sweep_gives_up_on_a_broker_that_is_down_after_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        note.delay()
    before = value("tasks_publish_failures_total", task="tests.leases.note")
    assert send_due() == 0
    assert value("tasks_publish_failures_total", task="tests.leases.note") == before + 1
    assert set(TaskRun.objects.values_list("sent_at", flat=True)) == {None}


def test_ten_thousand_that_wait_are_looked_through_at_once() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO tasks_taskrun (id, name, queue, priority, outcome, arguments, message, carrier, unique_key,
                dead_letter, attempts, max_attempts, duplicates, enqueued_at, sent_at, lease_expires_at, worker,
                progress_done, progress_total, progress_note, error, request_id, trace_id, actor_type, actor_id,
                actor_label, parent_task_id)
            SELECT gen_random_uuid(), 'tests.leases.note', 'nowhere', 5, '', '{}', 'x', '{}', '', '', 0, 9, 0, now(),
                now() - interval '1 second', CASE WHEN number % 10 = 0 THEN now() + interval '1 hour' END, '',
                0, 0, '', '', '', '', '', '', '', ''
            FROM generate_series(1, 10000) AS number
            """
        )
        cursor.execute("SET statement_timeout = '10s'")  # the rows of one queue against each other take much longer
    assert send_due() == 0
