"""An effect is made once however often its task is begun, and progress is told by the present attempt alone."""

import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery import shared_task
from celery.exceptions import WorkerLostError
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.db.models.functions import Now

from tasks import effects, progress, worker
from tasks.actions import attempts
from tasks.attempt import Attempt, keep
from tasks.effects import key_of, once
from tasks.errors import OutsideTaskError, StaleAttemptError, TaskCancelledError
from tasks.models import State, TaskEffect, TaskRun

pytestmark = pytest.mark.django_db(transaction=True)

WorkOff = Callable[..., Any]
_seen: list[Any] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    _seen.clear()


@shared_task(name="tests.effects.charge", bind=True)
def charge(self: Any, fails: bool = False) -> None:
    with once("charge") as is_first:
        _seen.append(is_first)
        if is_first:
            Group.objects.create(name=f"charged {self.request.id}")
    if fails and self.request.retries == 0:
        raise self.retry(countdown=0)


@shared_task(name="tests.effects.charge_and_fail", bind=True, max_retries=1)
def charge_and_fail_within(self: Any) -> None:
    with once() as is_first:
        _seen.append(is_first)
        Group.objects.create(name=f"charged {self.request.id}")
        if self.request.retries == 0:
            raise self.retry(countdown=0)


@shared_task(name="tests.effects.ask", bind=True)
def ask(self: Any) -> None:
    with once("ask") as is_first:
        if is_first:
            charge.delay()
    _seen.append(key_of("mail"))
    if self.request.retries == 0:
        raise self.retry(countdown=0)


@shared_task(name="tests.effects.report")
def report_often() -> None:
    for done in range(1, 1_001):
        progress.report(done, 1_000, note=f"number {done}")


@shared_task(name="tests.effects.report_oddly")
def report_oddly() -> None:
    progress.report(-1, 0, note="nul \x00 and " + "long " * 100)


@shared_task(name="tests.effects.be_cancelled", bind=True)
def be_cancelled(self: Any) -> None:
    progress.report(0, 2)
    TaskRun.objects.filter(id=self.request.id).update(cancel_requested_at=Now())
    _seen.append("before")
    progress.report(2, 2)
    _seen.append("after")


@shared_task(name="tests.effects.be_overtaken", bind=True)
def be_overtaken(self: Any, how: str) -> None:
    """Lose the lease to another worker in mid-task."""
    run_id = uuid.UUID(self.request.id)
    attempts.lose_attempt(run_id, 1, WorkerLostError("stood still"))
    assert attempts.claim_run(run_id, worker="other/1") == 2
    if how == "once":
        with once() as is_first:
            _seen.append(is_first)
    elif how == "progress":
        progress.report(1, 1)
    elif how == "raise":
        raise ValueError("too late")
    elif how == "retry":
        raise self.retry(countdown=0)
    _seen.append("went on")


def test_an_effect_is_made_once_over_all_attempts(work_off: WorkOff) -> None:
    charge.delay(fails=True)
    work_off()
    work_off()
    assert _seen == [True, False]
    assert Group.objects.filter(name__startswith="charged").count() == 1
    assert TaskRun.objects.get().state == State.SUCCEEDED


def test_a_block_that_fails_leaves_neither_effect_nor_note(work_off: WorkOff) -> None:
    charge_and_fail_within.delay()
    work_off()
    assert (Group.objects.filter(name__startswith="charged").count(), TaskEffect.objects.count()) == (0, 0)
    work_off()
    assert _seen == [True, True]
    assert Group.objects.filter(name__startswith="charged").count() == 1


def test_effects_of_different_names_and_runs_are_different(work_off: WorkOff) -> None:
    charge.delay()
    charge.delay()
    work_off()
    work_off()
    assert _seen == [True, True]
    assert TaskEffect.objects.count() == 2


def test_a_task_asked_for_within_once_is_asked_for_once(work_off: WorkOff) -> None:
    run_id = ask.delay().id
    work_off()
    assert TaskRun.objects.filter(name=charge.name).count() == 1
    work_off()
    work_off()
    assert TaskRun.objects.filter(name=charge.name).count() == 1
    assert _seen.count(f"{run_id}:mail") == 2  # the key of an effect elsewhere is the same for each attempt


def test_outside_of_a_task_there_is_no_once() -> None:
    with pytest.raises(OutsideTaskError), once("charge"):
        pytest.fail("it ran")
    with pytest.raises(OutsideTaskError):
        key_of()


@pytest.mark.parametrize("how", ["once", "progress"])
def test_a_stale_attempt_is_stopped_at_its_next_effect_or_report(how: str, work_off: WorkOff) -> None:
    be_overtaken.delay(how)
    traced = work_off()
    assert isinstance(traced.info.retval, StaleAttemptError)
    assert _seen == []
    run = TaskRun.objects.get()
    assert (run.state, run.attempts, run.effects.count(), run.progress_done) == (State.RUNNING, 2, 0, 0)


@pytest.mark.parametrize("how", ["return", "raise", "retry"])
def test_however_a_stale_attempt_ends_it_writes_nothing(
    how: str, work_off: WorkOff, take_message: Callable[..., Any]
) -> None:
    be_overtaken.delay(how)
    work_off()
    run = TaskRun.objects.get()
    assert (run.state, run.attempts, run.error) == (State.RUNNING, 2, "")
    assert take_message() is None


def test_a_long_block_renews_the_lease_that_it_kept_from_being_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = uuid.UUID(charge.delay().id)
    attempts.claim_run(run_id, worker=worker.name())
    before = TaskRun.objects.get().lease_expires_at
    monkeypatch.setattr(effects, "running", lambda: Attempt(run_id, 1))
    with once("short"):
        pass
    assert TaskRun.objects.get().lease_expires_at == before
    monkeypatch.setattr(effects, "time", SimpleNamespace(monotonic=iter([0, 8]).__next__))
    with once("long"):
        pass
    assert TaskRun.objects.get().lease_expires_at > before


def test_who_stands_still_in_a_block_loses_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Any, superuser: Any
) -> None:
    run_id = uuid.UUID(charge.delay().id)
    attempts.claim_run(run_id, worker="stopped/1")
    settings.TASKS_LEASE_SECONDS = 0.1
    monkeypatch.setattr(effects, "running", lambda: Attempt(run_id, 1))
    free = "SELECT 1 FROM tasks_taskrun WHERE id = %s FOR UPDATE NOWAIT"

    def is_free() -> bool:
        try:
            return bool(superuser.execute(free, [run_id]).rowcount)
        except Exception:
            return False

    with pytest.raises(Exception, match=r"idle-in-transaction|closed"), once("stands still"):
        assert not is_free()
        wait_until(is_free)
        Group.objects.create(name="too late")
    assert TaskEffect.objects.count() == 0


def test_the_limit_on_standing_still_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = uuid.UUID(charge.delay().id)
    attempts.claim_run(run_id, worker=worker.name())
    monkeypatch.setattr(effects, "running", lambda: Attempt(run_id, 1))
    with once():
        assert limit() == "1min"
    assert limit() == "0"


def limit() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        return str(cursor.fetchone()[0])


# --- progress --------------------------------------------------------------------------------------------------------


def test_progress_is_written_now_and_then_and_at_the_end(work_off: WorkOff, django_assert_max_num_queries: Any) -> None:
    report_often.delay()
    with django_assert_max_num_queries(40):
        work_off()
    run = TaskRun.objects.get()
    assert (run.progress_done, run.progress_total, run.progress_note) == (1_000, 1_000, "number 1000")


def test_progress_takes_whatever_a_task_says(work_off: WorkOff) -> None:
    report_oddly.delay()
    work_off()
    run = TaskRun.objects.get()
    assert (run.state, run.progress_done) == (State.SUCCEEDED, 0)
    assert run.progress_note.startswith("nul  and long")
    assert len(run.progress_note) == 200


def test_a_cancelled_task_stops_at_its_next_report(work_off: WorkOff) -> None:
    be_cancelled.delay()
    work_off()
    run = TaskRun.objects.get()
    assert _seen == ["before"]
    assert (run.state, [one.outcome for one in run.tries]) == (State.CANCELLED, ["cancelled"])


def test_outside_of_a_task_a_report_does_nothing() -> None:
    progress.report(1, 2)


def test_within_a_transaction_that_is_rolled_back_progress_is_too(work_off: WorkOff) -> None:
    run_id = uuid.UUID(report_often.delay().id)
    attempts.claim_run(run_id, worker=worker.name())
    request = type("Request", (), {})()
    keep(request, Attempt(run_id, 1))
    with pytest.raises(TaskCancelledError), transaction.atomic():
        progress._write(Attempt(run_id, 1), 5, 10, "half")
        raise TaskCancelledError
    assert TaskRun.objects.get().progress_done == 0
