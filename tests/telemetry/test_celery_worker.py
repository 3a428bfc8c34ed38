"""Tasks in a real worker: one trace from the request on, and each end counted once, whoever saw it."""

import uuid
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from celery import chord, group

from config.processes import Process
from telemetry.tracing.work import Work
from tests.conftest import WaitUntil
from tests.telemetry import celery_app as tasks
from tests.telemetry.celery_processes import exemplars, named, request, spans_of, value, worker

pytestmark = pytest.mark.long

Delta = Callable[[], float]


@pytest.fixture(scope="module")
def watched_worker(servers: Any) -> Iterator[Process]:
    with worker() as process:
        yield process


@pytest.fixture
def ends(watched_worker: Process) -> Callable[..., Delta]:
    """Return a function that counts from now on: `ends("failed", task=…)` gives a function of no arguments."""

    def counting(end: str, **labels: str) -> Delta:
        name = f"celery_task_{end}_total"
        before = value(name, **labels)
        return lambda: value(name, **labels) - before

    return counting


def run(wait_until: WaitUntil, work: Work, name: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait for the runs of a task in a request's story, and return all its spans."""
    wait_until(lambda: len(named(spans_of(work.request_id), f"process {name}")) >= count, timeout=60)
    return spans_of(work.request_id)


def test_a_request_its_publish_and_its_task_are_one_trace(
    watched_worker: Process, ends: Callable[..., Delta], wait_until: WaitUntil
) -> None:
    name = "watched.nothing"
    counts = [ends(end, task=name) for end in ("received", "started", "succeeded")]
    sent = ends("sent", task=name, queue=tasks.QUEUE)
    with request() as work:
        result = tasks.nothing.delay()
    spans = run(wait_until, work, name)

    (root,), (send,), (process,) = (
        named(spans, "POST /things"),
        named(spans, "send watched"),
        named(spans, f"process {name}"),
    )
    assert {span["trace_id"] for span in spans} == {root["trace_id"]}
    assert (send["parent_id"], process["parent_id"]) == (root["span_id"], send["span_id"])
    assert (send["kind"], process["kind"], process["process"]) == ("producer", "consumer", "worker")
    assert process["links"] == []
    attributes = process["attributes"]
    assert (attributes["messaging.message.id"], attributes["celery.state"]) == (result.id, "SUCCESS")
    assert attributes["user.id"] == "7"
    assert 0 <= attributes["messaging.queue_wait_seconds"] < 600
    wait_until(lambda: [count() for count in counts] == [1, 1, 1])
    assert sent() == 1
    for family in ("celery_task_runtime_seconds", "celery_task_queue_wait_seconds"):
        assert {"trace_id": work.trace_id} in exemplars(family)
    wait_until(lambda: value("celery_tasks_active", task=name) == 0)
    assert value("celery_workers") == 1


def test_a_task_that_asks_for_another_keeps_the_trace_and_the_person(
    watched_worker: Process, wait_until: WaitUntil
) -> None:
    with request() as work:
        tasks.ask.delay()
    spans = run(wait_until, work, "watched.nothing")

    (outer,), (inner,) = named(spans, "process watched.ask"), named(spans, "process watched.nothing")
    by_id = {span["span_id"]: span for span in spans}
    assert by_id[inner["parent_id"]]["name"] == "send watched"
    assert by_id[inner["parent_id"]]["parent_id"] == outer["span_id"]
    assert inner["trace_id"] == outer["trace_id"] == work.trace_id
    assert inner["attributes"]["user.id"] == "7"


def test_a_task_run_eagerly_within_another_stays_in_its_trace(watched_worker: Process, wait_until: WaitUntil) -> None:
    with request() as work:
        tasks.ask_eagerly.delay()
    spans = run(wait_until, work, "watched.nothing", 2)

    (outer,), (eager,) = named(spans, "process watched.ask_eagerly"), named(spans, "process watched.ask")
    assert eager["parent_id"] == outer["span_id"]
    assert {span["trace_id"] for span in spans} == {work.trace_id}
    # One was published from within the eager one, the other after it.
    inner = {span["parent_id"] for span in named(spans, "process watched.nothing")}
    sends = {span["parent_id"] for span in spans if span["span_id"] in inner}
    assert sends == {outer["span_id"], eager["span_id"]}


def test_each_attempt_is_linked_to_the_one_before_and_none_lies_deeper(
    watched_worker: Process, ends: Callable[..., Delta], wait_until: WaitUntil
) -> None:
    name = "watched.fail_twice"
    retried, succeeded = ends("retried", task=name, exception="OddError"), ends("succeeded", task=name)
    with request() as work:
        tasks.fail_twice.delay()
    spans = run(wait_until, work, name, 3)

    attempts = sorted(named(spans, f"process {name}"), key=lambda span: span["attributes"]["celery.retries"])
    by_id = {span["span_id"]: span for span in spans}
    assert [span["attributes"]["celery.state"] for span in attempts] == ["RETRY", "RETRY", "SUCCESS"]
    assert attempts[0]["trace_id"] == work.trace_id
    assert [span["parent_id"] for span in attempts[1:]] == ["", ""]
    assert len({span["trace_id"] for span in attempts}) == 3
    for earlier, later in pairwise(attempts):
        (link,) = later["links"]
        send = by_id[link["span_id"]]
        assert (send["parent_id"], send["trace_id"]) == (earlier["span_id"], earlier["trace_id"])
        assert later["attributes"]["celery.link"] == "retry"
        assert [event["name"] for event in earlier["events"]] == ["retry"]
    assert {span["attributes"]["user.id"] for span in attempts} == {"7"}
    wait_until(lambda: (retried(), succeeded()) == (2, 1))


def test_the_members_of_a_group_are_linked(watched_worker: Process, wait_until: WaitUntil) -> None:
    with request() as work:
        group(tasks.nothing.si() for _ in range(3)).apply_async()
    spans = run(wait_until, work, "watched.nothing", 3)

    sends = {span["span_id"] for span in named(spans, "send watched") if span["parent_id"] == work.span_id}
    members = named(spans, "process watched.nothing")
    assert {member["links"][0]["span_id"] for member in members} == sends
    assert len({member["trace_id"] for member in members} | {work.trace_id}) == 4
    assert {member["attributes"]["celery.link"] for member in members} == {"group"}


def test_a_chords_callback_is_linked_to_the_task_that_completed_it(
    watched_worker: Process, wait_until: WaitUntil
) -> None:
    with request() as work:
        chord([tasks.add.s(1, 2), tasks.add.s(3, 4)])(tasks.total.s())
    spans = run(wait_until, work, "watched.total")

    (callback,) = named(spans, "process watched.total")
    (link,) = callback["links"]
    (send,) = [span for span in spans if span["span_id"] == link["span_id"]]
    assert send["parent_id"] in {span["span_id"] for span in named(spans, "process watched.add")}
    assert (callback["attributes"]["celery.link"], callback["parent_id"]) == ("chord", "")
    assert callback["attributes"]["user.id"] == "7"


def test_a_chain_goes_on_in_the_same_trace(watched_worker: Process, wait_until: WaitUntil) -> None:
    with request() as work:
        (tasks.add.s(1, 2) | tasks.add.s(3)).delay()
    spans = run(wait_until, work, "watched.add", 2)

    assert {span["trace_id"] for span in spans} == {work.trace_id}
    assert all(not span["links"] for span in spans)


@pytest.mark.parametrize(("kind", "label"), [("odd", "OddError"), ("Made1", "_OTHER")])
def test_a_failure_is_told_and_counted_once(
    kind: str, label: str, watched_worker: Process, ends: Callable[..., Delta], wait_until: WaitUntil
) -> None:
    failed = ends("failed", task="watched.fail", exception=label)
    with request() as work:
        tasks.fail.delay(kind)
    (process,) = named(run(wait_until, work, "watched.fail"), "process watched.fail")

    assert (process["status"], process["attributes"]["celery.state"]) == ("error", "FAILURE")
    (event,) = process["events"]
    assert event["name"] == "exception"
    assert "hunter22" not in str(process)
    wait_until(lambda: failed() == 1)
    wait_until(lambda: value("celery_tasks_active", task="watched.fail") == 0)


def test_a_time_out_by_force_is_told_by_the_parent(
    watched_worker: Process, ends: Callable[..., Delta], wait_until: WaitUntil
) -> None:
    name = "watched.ask_then_hang"
    failed = ends("failed", task=name, exception="TimeLimitExceeded")
    with request() as work:
        tasks.ask_then_hang.apply_async(time_limit=2)
    spans = run(wait_until, work, name)

    (process,) = named(spans, f"process {name}")
    assert (process["status"], process["attributes"]["error.type"]) == ("error", "TimeLimitExceeded")
    assert process["trace_id"] == work.trace_id
    assert 1.5 < (process["end_ns"] - process["start_ns"]) / 1e9 < 600
    wait_until(lambda: value("celery_tasks_active", task=name) == 0)
    wait_until(lambda: failed() == 1)
    # What the dead child had published hangs below the span that its parent told.
    spans = run(wait_until, work, "watched.nothing")
    (inner,) = named(spans, "process watched.nothing")
    assert inner["trace_id"] == work.trace_id
    wait_until(lambda: failed() == 1)


def test_a_lost_process_is_told_by_the_parent_and_counted_once(
    watched_worker: Process, ends: Callable[..., Delta], wait_until: WaitUntil
) -> None:
    name = "watched.die"
    failed, started = ends("failed", task=name, exception="WorkerLostError"), ends("started", task=name)
    with request() as work:
        tasks.die.delay()
    (process,) = named(run(wait_until, work, name), f"process {name}")

    assert process["attributes"]["error.type"] == "WorkerLostError"
    assert (process["status"], process["trace_id"]) == ("error", work.trace_id)
    wait_until(lambda: (failed(), started()) == (1, 1))
    wait_until(lambda: value("celery_tasks_active", task=name) == 0)


def test_a_lost_process_whose_message_goes_back_has_not_failed(
    watched_worker: Process, ends: Callable[..., Delta], wait_until: WaitUntil, tmp_path: Path
) -> None:
    name = "watched.die_once"
    ended = [ends("rejected", task=name), ends("succeeded", task=name), ends("started", task=name)]
    failed = ends("failed", task=name, exception="WorkerLostError")
    with request() as work:
        tasks.die_once.delay(str(tmp_path / "mark"))
    spans = run(wait_until, work, name, 2)

    assert {span["attributes"]["celery.state"] for span in named(spans, f"process {name}")} == {"REJECTED", "SUCCESS"}
    wait_until(lambda: [end() for end in ended] == [1, 1, 2])
    assert failed() == 0


def test_a_failure_is_counted_once_though_the_process_dies_before_it_is_reported(
    watched_worker: Process, ends: Callable[..., Delta], wait_until: WaitUntil
) -> None:
    name = "watched.fail_and_die"
    counts = [ends("failed", task=name, exception=kind) for kind in ("OddError", "WorkerLostError")]
    with request() as work:
        tasks.fail_and_die.delay()
    run(wait_until, work, name)

    wait_until(lambda: sum(count() for count in counts) == 1)
    wait_until(lambda: value("celery_tasks_active", task=name) == 0)


@pytest.mark.parametrize(("how", "rejected", "state"), [("reject", 1, "REJECTED"), ("ignore", 0, "IGNORED")])
def test_a_refused_message_is_no_failure(
    how: str,
    rejected: int,
    state: str,
    watched_worker: Process,
    ends: Callable[..., Delta],
    wait_until: WaitUntil,
) -> None:
    name = "watched.refuse"
    counted, failed = ends("rejected", task=name), ends("failed", task=name, exception="Reject")
    with request() as work:
        tasks.refuse.delay(how)
    (process,) = named(run(wait_until, work, name), f"process {name}")

    assert process["attributes"]["celery.state"] == state
    wait_until(lambda: value("celery_tasks_active", task=name) == 0)
    assert (counted(), failed()) == (rejected, 0)


def test_a_task_revoked_before_its_start_is_told_and_never_runs(
    watched_worker: Process, ends: Callable[..., Delta], wait_until: WaitUntil
) -> None:
    name = "watched.nothing"
    revoked, started = ends("revoked", task=name, reason="revoked"), ends("started", task=name)
    with request() as work:
        task_id = str(uuid.uuid4())
        assert tasks.app.control.revoke(task_id, reply=True, limit=1, timeout=60)  # the worker knows
        tasks.nothing.apply_async(task_id=task_id)
    (process,) = named(run(wait_until, work, name), f"process {name}")

    assert process["attributes"]["celery.state"] == "REVOKED"
    assert process["trace_id"] == work.trace_id
    wait_until(lambda: revoked() == 1)
    assert started() == 0


def test_an_expired_task_is_told(watched_worker: Process, ends: Callable[..., Delta], wait_until: WaitUntil) -> None:
    expired = ends("revoked", task="watched.nothing", reason="expired")
    with request() as work:
        tasks.nothing.apply_async(expires=0.0)
    (process,) = named(run(wait_until, work, "watched.nothing"), "process watched.nothing")

    assert process["attributes"]["celery.state"] == "REVOKED"
    wait_until(lambda: expired() == 1)


def test_a_running_task_that_is_terminated_is_told_once(
    watched_worker: Process, ends: Callable[..., Delta], wait_until: WaitUntil
) -> None:
    name = "watched.ask_then_hang"
    revoked = ends("revoked", task=name, reason="terminated")
    with request() as work:
        result = tasks.ask_then_hang.delay()
    wait_until(lambda: value("celery_tasks_active", task=name) == 1, timeout=60)
    tasks.app.control.revoke(result.id, terminate=True)
    run(wait_until, work, name)
    with request() as later:
        tasks.nothing.delay()
    run(wait_until, later, "watched.nothing")  # by now the dead child has told all it ever will

    (process,) = named(spans_of(work.request_id), f"process {name}")
    assert (process["attributes"]["celery.state"], process["status"]) == ("REVOKED", "error")
    wait_until(lambda: revoked() == 1)
    wait_until(lambda: value("celery_tasks_active", task=name) == 0)


def test_what_was_asked_for_by_an_eta_is_not_waiting(watched_worker: Process, wait_until: WaitUntil) -> None:
    with request() as work:
        tasks.nothing.apply_async(countdown=2)
    (process,) = named(run(wait_until, work, "watched.nothing"), "process watched.nothing")

    (send,) = named(spans_of(work.request_id), "send watched")
    # However late a busy worker is: of the time since the sending, what lay before the ETA is no waiting.
    since_sending = (process["start_ns"] - send["start_ns"]) / 1e9
    assert since_sending - process["attributes"]["messaging.queue_wait_seconds"] > 1
    assert process["parent_id"] == send["span_id"]  # a minute isn't reached


def test_no_span_is_lost_where_every_task_has_a_process_of_its_own(servers: Any, wait_until: WaitUntil) -> None:
    count = 12
    runtimes = ("celery_task_runtime_seconds_count", "watched.add")
    before = value(runtimes[0], task=runtimes[1])
    with request() as work:
        for number in range(count):
            tasks.add.apply_async((number, 1), queue="watched.slow")
    with worker("--max-tasks-per-child", "1", "--queues", "watched.slow", name="recycling", concurrency=2):
        spans = run(wait_until, work, "watched.add", count)
    wait_until(lambda: value(runtimes[0], task=runtimes[1]) - before == count)

    processes = named(spans, "process watched.add")
    assert len({span["span_id"] for span in processes}) == len(processes) == count
    assert {span["trace_id"] for span in spans} == {work.trace_id}
