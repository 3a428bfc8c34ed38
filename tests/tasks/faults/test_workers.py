"""What may happen to a whole worker: killed, stopped gently and less so, frozen until its leases are lost."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.models import State, TaskRun
from telemetry.metrics import exposed_registry
from tests.tasks.faults.jobs import make, make_slowly, make_within, only_wait
from tests.tasks.faults.place import Place, effects, tries

pytestmark = pytest.mark.long

IsAt = Callable[..., int]
IsIn = Callable[..., TaskRun]


@pytest.fixture
def pair(place: Place) -> Place:
    """Give two workers of one child each: what befalls one, the other mends."""
    place.stop_workers("one", "two")
    place.start_workers("one", "two")
    return place


def fenced() -> float:
    return exposed_registry().get_sample_value("tasks_fenced_total") or 0.0


def test_a_worker_killed_with_all_it_holds_loses_nothing(pair: Place, gate: Path, is_at: IsAt, is_in: IsIn) -> None:
    run = TaskRun.objects.get(id=make_slowly.delay(str(gate)).id)
    is_at(gate)
    victim = pair.holder_of(run)
    (other,) = [worker for worker in pair.workers.values() if worker is not victim]
    other.freeze()  # so that the victim prefetches what comes now
    prefetched = [make.delay(f"prefetched {number}").id for number in range(3)]
    pair.replace(victim)
    other.thaw()
    is_at(gate, attempt=2)
    gate.touch()
    run = is_in(run.id, State.SUCCEEDED)
    assert tries(run) == [(1, "lost"), (2, "succeeded")]
    assert "didn't renew its lease" in run.tries[0].error
    for one in prefetched:
        is_in(one, State.SUCCEEDED)
    made = dict(effects())
    assert made == {"before": 1, "after": 1, **{f"prefetched {number}": 1 for number in range(3)}}


def test_a_parent_killed_alone_leaves_no_orphan_that_counts(pair: Place, gate: Path, is_at: IsAt, is_in: IsIn) -> None:
    run = TaskRun.objects.get(id=make_slowly.delay(str(gate)).id)
    orphan = psutil.Process(is_at(gate))
    parent = pair.holder_of(run)
    os.kill(parent.pid, signal.SIGKILL)
    is_at(gate, attempt=2)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    gate.touch()
    run = is_in(run.id, State.SUCCEEDED)
    assert tries(run) == [(1, "lost"), (2, "succeeded")]
    assert effects() == [("after", 1), ("before", 1)]


def test_a_gentle_stop_lets_a_long_task_finish(
    pair: Place, gate: Path, is_at: IsAt, is_in: IsIn, wait_until: Any
) -> None:
    run = TaskRun.objects.get(id=make_slowly.delay(str(gate)).id)
    is_at(gate)
    worker = pair.holder_of(run)
    children = worker.children
    worker.process.send(signal.SIGTERM)
    wait_until(lambda: any("Warm shutdown" in line for line in worker.process.last_lines))
    later = make.delay("later").id  # is for the other worker
    is_in(later, State.SUCCEEDED)
    gate.touch()
    wait_until(lambda: not worker.process.is_running, timeout=60)
    assert worker.process.exit_code == 0
    assert tries(is_in(run.id, State.SUCCEEDED)) == [(1, "succeeded")]
    assert effects() == [("after", 1), ("before", 1), ("later", 1)]
    assert not [child for child in children if child.is_running()]


def test_a_quick_stop_gives_a_long_task_back_at_once(
    pair: Place, gate: Path, is_at: IsAt, is_in: IsIn, wait_until: Any
) -> None:
    run = TaskRun.objects.get(id=make_slowly.delay(str(gate)).id)
    is_at(gate)
    worker = pair.holder_of(run)
    children = worker.children
    worker.process.send(signal.SIGQUIT)
    wait_until(lambda: not worker.process.is_running, timeout=60)
    is_at(gate, attempt=2)
    gate.touch()
    assert tries(is_in(run.id, State.SUCCEEDED)) == [(1, "lost"), (2, "succeeded")]
    assert effects() == [("after", 1), ("before", 1)]
    assert not [child for child in children if child.is_running()]


def test_a_worker_that_wakes_after_its_lease_is_lost_makes_no_effect(
    pair: Place, gate: Path, is_at: IsAt, is_in: IsIn, wait_until: Any
) -> None:
    before = fenced()
    run = TaskRun.objects.get(id=make_slowly.delay(str(gate)).id)
    is_at(gate)
    stale = pair.holder_of(run)
    stale.freeze()
    is_at(gate, attempt=2)
    stale.thaw()  # now both stand before the gate
    gate.touch()
    run = is_in(run.id, State.SUCCEEDED)
    wait_until(lambda: fenced() == before + 1)
    assert tries(run) == [(1, "lost"), (2, "succeeded")]
    assert effects() == [("after", 1), ("before", 1)]
    assert run.tries[0].worker != run.tries[-1].worker


def test_the_end_of_a_worker_that_wakes_too_late_does_not_count(
    pair: Place, gate: Path, is_at: IsAt, is_in: IsIn, wait_until: Any
) -> None:
    before = fenced()
    run = TaskRun.objects.get(id=only_wait.delay(str(gate)).id)
    is_at(gate)
    stale = pair.holder_of(run)
    stale.freeze()
    is_at(gate, attempt=2)
    gate.touch()
    run = is_in(run.id, State.SUCCEEDED)
    stale.thaw()
    wait_until(lambda: fenced() == before + 1)
    run.refresh_from_db()
    assert (run.state, run.result) == (State.SUCCEEDED, "attempt 2")
    assert tries(run) == [(1, "lost"), (2, "succeeded")]


def test_a_worker_frozen_in_the_middle_of_an_effect_loses_it_to_another(
    pair: Place, gate: Path, is_at: IsAt, is_in: IsIn
) -> None:
    run = TaskRun.objects.get(id=make_within.delay(str(gate)).id)
    is_at(gate)
    stale = pair.holder_of(run)
    stale.freeze()
    is_at(gate, attempt=2)
    stale.thaw()
    gate.touch()
    run = is_in(run.id, State.SUCCEEDED)
    assert tries(run)[0] == (1, "lost")
    assert tries(run)[-1][1] == "succeeded"
    assert effects() == [("within", 1)]
