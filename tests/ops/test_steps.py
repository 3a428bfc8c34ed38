"""The rows of a waterfall: what hangs below what, and what is one row."""

from collections import Counter

import pytest
from opentelemetry.trace import SpanKind

from ops import story
from ops.steps import DEEPEST
from tests.ops.conftest import Recorder

pytestmark = pytest.mark.django_db
TASK = "01a20a13-5806-7e2e-aa24-03134997b5fb"


def rows(recorder: Recorder) -> list[tuple[int, str, str]]:
    return [(step.depth, step.lane, step.name) for step in story.tell(recorder.save()).steps]


def test_spans_of_all_processes_hang_below_their_causes(recorder: Recorder) -> None:
    request = recorder.request()
    recorder.query("post", 5, request)
    send = recorder.span(
        "send reports",
        10,
        kind=SpanKind.PRODUCER,
        parent=request,
        celery__task="tasks.report",
        messaging__system="celery",
    )
    run = recorder.attempt(TASK, 1, 30, "SUCCESS", parent=send)
    push = recorder.push(run, 31, process="worker")
    recorder.delivery(push, 33)

    assert rows(recorder) == [
        (0, "request", "GET /blog/"),
        (1, "sql", "SELECT post"),
        (1, "task", "send reports"),
        (2, "wait", "waiting in queue"),
        (2, "task", "process tasks.report"),
        (3, "push", "group_send message.created"),
        (4, "push", "deliver message.created"),
    ]


def test_the_wait_in_the_queue_is_a_bar_of_its_own(recorder: Recorder) -> None:
    recorder.request(took_ms=10)
    recorder.attempt(TASK, 1, 200, "SUCCESS", messaging__queue_wait_seconds=0.15)
    told = story.tell(recorder.save())

    (wait,) = [step for step in told.steps if step.lane == "wait"]
    assert (wait.begin_ms, wait.duration_ms, wait.process) == pytest.approx((50, 150, "reports"))


def test_a_linked_span_hangs_below_what_it_is_linked_to(recorder: Recorder) -> None:
    request = recorder.request()
    send = recorder.push(request, 5)
    recorder.delivery(None, 8, links=(send,), trace_id=77)  # type: ignore[arg-type]

    assert rows(recorder)[-1] == (2, "push", "deliver message.created")


def test_attempts_of_one_task_stand_beside_each_other(recorder: Recorder) -> None:
    send = recorder.span(
        "send reports", 1, kind=SpanKind.PRODUCER, parent=recorder.request(), celery__task="tasks.report"
    )
    first = recorder.attempt(TASK, 1, 10, "RETRY", parent=send)
    again = recorder.span("send reports", 11, kind=SpanKind.PRODUCER, parent=first, celery__task="tasks.report")
    second = recorder.attempt(TASK, 2, 20, "RETRY", links=(again,), trace_id=2)
    once_more = recorder.span("send reports", 21, kind=SpanKind.PRODUCER, parent=second, celery__task="tasks.report")
    recorder.attempt(TASK, 3, 30, "SUCCESS", links=(once_more,), trace_id=3)

    assert [depth for depth, _, name in rows(recorder) if name == "process tasks.report"] == [2, 2, 2]


def test_many_statements_of_one_kind_are_one_row_with_a_bar_each(recorder: Recorder) -> None:
    request = recorder.request()
    for place in range(12):  # by turns, as a loop over rows does it
        recorder.query("user", 10 + 4 * place, request)
        recorder.query("tag", 12 + 4 * place, request, 0.5)
    told = story.tell(recorder.save())

    assert [(step.name, step.count, step.is_repeated) for step in told.steps] == [
        ("GET /blog/", 1, False),
        ("SELECT user", 12, True),
        ("SELECT tag", 12, True),
    ]
    assert told.steps[1].duration_ms == pytest.approx(12)
    assert told.steps[2].bars[3] == pytest.approx((24, 0.5))


def test_a_statement_that_failed_keeps_its_own_row(recorder: Recorder) -> None:
    request = recorder.request()
    for place in range(6):
        recorder.query("user", 10 + place, request, error="IntegrityError" if place == 3 else "")
    told = story.tell(recorder.save())

    assert Counter((step.count, step.is_error) for step in told.steps[1:]) == {(5, False): 1, (1, True): 1}


def test_spans_in_a_circle_are_told_once_each(recorder: Recorder) -> None:
    one = recorder.span("one", 0, links=())
    two = recorder.span("two", 0, links=(one,))
    recorder.span("three", 0, parent=two, links=(one, two))
    recorder._spans[0]._parent = two  # below what hangs below it

    assert sorted(name for _, _, name in rows(recorder)) == ["one", "three", "two"]


def test_a_parent_that_is_not_here_makes_a_root_and_is_told_as_missing(recorder: Recorder) -> None:
    gone = Recorder().span("gone")
    recorder.query("post", 5, gone)
    told = story.tell(recorder.save())

    assert [(step.depth, step.name) for step in told.steps] == [(0, "SELECT post")]
    assert any("isn't here" in sentence for sentence in told.missing)


def test_rows_know_what_they_hold_and_what_ends_with_them(recorder: Recorder) -> None:
    above = recorder.request()
    for depth in range(DEEPEST + 5):
        above = recorder.span(f"span {depth}", depth, parent=above, kind=SpanKind.INTERNAL)
    recorder.request("GET /other/")
    steps = story.tell(recorder.save()).steps

    assert sum(step.has_below for step in steps) == sum(step.closes for step in steps)
    assert max(step.depth for step in steps) == DEEPEST
    assert steps[-1].closes == 0
