"""What may happen to a child, while its worker lives on: killed, killed each time, out of time, told ten times."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from config.celery import app
from tasks.actions.enqueuing import send_again
from tasks.messages import freeze
from tasks.models import State, TaskRun
from tests.tasks.faults.jobs import bury, die, hang, make, make_slowly, step
from tests.tasks.faults.place import Place, Worker, effects, tries

pytestmark = pytest.mark.long

IsAt = Callable[..., int]
IsIn = Callable[..., TaskRun]

# The process that asks for a task ends between the commit and the publishing.
_DIE_AFTER_THE_COMMIT = """
import os, signal, django
django.setup()
from django.db import transaction
from tasks.actions import enqueuing
from tests.tasks.faults.jobs import make
enqueuing.send_or_put_back = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with transaction.atomic():
    make.delay("asked for")
"""


@pytest.fixture
def worker(place: Place) -> Worker:
    place.stop_workers("steady")
    (steady,) = place.start_workers("steady", concurrency=2)
    return steady


def test_a_child_killed_in_mid_task_costs_an_attempt_and_no_effect_is_made_twice(
    worker: Worker, gate: Path, is_at: IsAt, is_in: IsIn
) -> None:
    run_id = make_slowly.delay(str(gate)).id
    os.kill(is_at(gate), signal.SIGKILL)
    is_at(gate, attempt=2)
    gate.touch()
    run = is_in(run_id, State.SUCCEEDED)
    assert tries(run) == [(1, "lost"), (2, "succeeded")]
    assert "signal 9" in run.tries[0].error
    assert effects() == [("after", 1), ("before", 1)]


def test_a_task_that_always_kills_its_child_is_given_up_and_others_go_on(worker: Worker, is_in: IsIn) -> None:
    run_id = die.delay().id
    others = [make.delay(f"other {number}").id for number in range(10)]
    run = is_in(run_id, State.DEAD)
    assert tries(run) == [(1, "lost"), (2, "lost"), (3, "lost")]
    assert all(one.error.startswith("WorkerLostError") and one.ended_at for one in run.tries)
    buried = TaskRun.objects.get(name=bury.name)
    is_in(buried.id, State.SUCCEEDED)
    for other in others:
        is_in(other, State.SUCCEEDED)
    made = dict(effects())
    assert made.pop("before death") == 3  # it was begun three times; this was no effect made `once`
    assert made == {f"buried {run_id}": 1, **{f"other {number}": 1 for number in range(10)}}


def test_a_lost_middle_step_holds_a_chain_up_and_no_more(worker: Worker, gate: Path, is_at: IsAt, is_in: IsIn) -> None:
    (step.s(0, 1) | step.s(2, str(gate)) | step.s(3)).delay()
    os.kill(is_at(gate), signal.SIGKILL)
    middle = TaskRun.objects.get(name=step.name, outcome="")
    assert tries(is_in(middle.id, State.SUCCEEDED)) == [(1, "lost"), (2, "succeeded")]
    last = TaskRun.objects.order_by("enqueued_at").last()
    assert last is not None
    assert is_in(last.id, State.SUCCEEDED).result == 6
    assert effects() == [("step 1", 1), ("step 2", 1), ("step 3", 1)]
    assert TaskRun.objects.count() == 3


@pytest.mark.parametrize(("hides", "error"), [(False, "SoftTimeLimitExceeded"), (True, "TimeLimitExceeded")])
def test_a_task_that_takes_no_end_is_ended_and_is_dead(hides: bool, error: str, worker: Worker, is_in: IsIn) -> None:
    run = is_in(hang.delay(hides).id, State.DEAD)
    assert run.error.startswith(error)
    assert tries(run) == [(1, "failed")]


def test_ten_messages_at_once_are_one_effect_and_nine_recorded_duplicates(
    worker: Worker, wait_until: Any, is_in: IsIn
) -> None:
    run = TaskRun(id=make.delay("told ten times").id)
    message = TaskRun(id=run.id, name=make.name, message=_message(run), carrier={})

    def send(_number: int) -> None:
        send_again(message)

    with ThreadPoolExecutor(9) as threads:
        list(threads.map(send, range(9)))
    wait_until(lambda: TaskRun.objects.get(id=run.id).duplicates == 9, timeout=60)
    run = is_in(run.id, State.SUCCEEDED)
    assert (tries(run), effects()) == ([(1, "succeeded")], [("told ten times", 1)])


def test_what_was_asked_for_by_a_process_that_died_after_the_commit_is_done(
    worker: Worker, wait_until: Any, is_in: IsIn
) -> None:
    environment = {**worker.process.program.environment, "GLASSHOUSE_PROCESS": "command"}
    program = [sys.executable, "-c", _DIE_AFTER_THE_COMMIT]
    ended = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    wait_until(lambda: effects() == [("asked for", 1)], timeout=60)
    assert tries(is_in(TaskRun.objects.get().id, State.SUCCEEDED)) == [(1, "succeeded")]


def test_a_task_revoked_by_force_is_cancelled_and_its_child_is_gone(
    worker: Worker, gate: Path, is_at: IsAt, is_in: IsIn, wait_until: Any
) -> None:
    run_id = make_slowly.delay(str(gate)).id
    child = psutil.Process(is_at(gate))
    app.control.revoke(run_id, terminate=True)
    run = is_in(run_id, State.CANCELLED)
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert tries(run) == [(1, "cancelled")]
    assert effects() == [("before", 1)]


def _message(run: TaskRun) -> str:
    """Return a run's message, though the run may have ended and forgotten it."""
    return freeze(("told ten times",), {}, {})
