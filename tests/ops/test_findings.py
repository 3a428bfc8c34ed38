"""What a person is told to look at first, in words."""

import pytest
from opentelemetry.trace import SpanKind

from ops import story
from tests.ops.conftest import Recorder

pytestmark = pytest.mark.django_db
TASK = "01a20a13-5806-7e2e-aa24-03134997b5fb"


def told(recorder: Recorder) -> list[tuple[str, str, str]]:
    return [(one.weight, one.title, one.text) for one in story.tell(recorder.save()).findings]


def test_an_n_plus_1_is_named_with_its_line_and_how_often_it_ran(recorder: Recorder) -> None:
    request = recorder.request()
    for place in range(37):
        recorder.query("user", 2 * place, request, 1.5)

    assert ("warn", "N+1", "SELECT user ran 37 times at user/queries.py:31, 56 ms in all.") in told(recorder)


def test_a_query_that_runs_once_for_each_of_many_requests_is_no_n_plus_1(recorder: Recorder) -> None:
    for place in range(15):
        recorder.query("user", place, recorder.request(f"receive {place}"))

    assert [title for _, title, _ in told(recorder)] == ["Slowest query"]


def test_an_n_plus_1_whose_statements_are_not_here_is_told_by_its_mark(recorder: Recorder) -> None:
    recorder.request(db__repeated_statements=["SELECT user (900 times) at blog/views.py:7"])

    assert told(recorder) == [("warn", "N+1", "SELECT user (900 times) at blog/views.py:7")]


def test_the_slowest_query_is_named_and_leads_to_its_row(recorder: Recorder) -> None:
    request = recorder.request()
    recorder.query("user", 1, request, 3)
    slowest = recorder.query("post", 5, request, 170)
    found = story.tell(recorder.save()).findings

    (finding,) = found
    assert (finding.weight, finding.text, finding.key) == (
        "warn",
        "SELECT post took 170 ms at post/queries.py:31.",
        slowest,
    )


def test_an_error_is_told_with_the_line_of_our_own_code(recorder: Recorder) -> None:
    stack = (
        'Traceback (most recent call last):\n  File "/project/blog/views.py", line 31, in post\n    …\n'
        '  File "/venv/lib/python3.11/site-packages/django/db/utils.py", line 9, in inner\nValueError: too long'
    )
    exception = {"exception.type": "ValueError", "exception.message": "too long", "exception.stacktrace": stack}
    recorder.request(error="ValueError", notes=(("exception", exception),))
    (finding,) = told(recorder)

    assert finding == ("bad", "Error", "GET /blog/ failed: ValueError: too long at views.py:31")


def test_a_5xx_without_an_exception_is_told_too(recorder: Recorder) -> None:
    recorder.request(http__response__status_code=503)

    assert told(recorder) == [("bad", "Error", "GET /blog/ was answered with 503.")]


def test_a_retry_is_told_with_its_reason(recorder: Recorder) -> None:
    recorder.request()
    reason = (("retry", {"reason": "OperationalError: the server went away"}),)
    recorder.attempt(TASK, 1, 10, "RETRY", notes=reason, error="RETRY")
    recorder.attempt(TASK, 2, 20, "SUCCESS")

    text = "tasks.report was tried again once, because of OperationalError: the server went away"
    assert ("warn", "Retried", text) in told(recorder)


def test_a_task_that_was_given_up_is_told_once_and_first(recorder: Recorder) -> None:
    request = recorder.request()
    recorder.query("post", 1, request, 5)
    failure = (("exception", {"exception.type": "KeyError", "exception.message": "'amount'"}),)
    recorder.attempt(TASK, 1, 10, "RETRY", notes=(("retry", {"reason": "KeyError"}),), error="RETRY")
    recorder.attempt(TASK, 2, 20, "FAILURE", notes=failure, error="KeyError")

    found = told(recorder)
    assert [(weight, title) for weight, title, _ in found] == [("bad", "Task failed"), ("info", "Slowest query")]
    assert found[0][2] == "tasks.report was given up after 2 attempts: KeyError: 'amount'"


def test_a_push_that_nobody_had_is_told_and_one_that_arrived_is_not(recorder: Recorder) -> None:
    request = recorder.request()
    recorder.delivery(recorder.push(request, 5), 7, broadcast__recipients=3, broadcast__delivered=3)
    recorder.push(request, 9, messaging__destination__name="notifications.user-7")

    (finding,) = told(recorder)
    assert finding[:2] == ("info", "Push missing")
    assert "to notifications.user-7 was sent, and no socket is known to have had it" in finding[2]


def test_sockets_that_were_dropped_are_told(recorder: Recorder) -> None:
    push = recorder.push(recorder.request(), 5)
    recorder.delivery(
        push, 7, broadcast__recipients=197, broadcast__delivered=196, broadcast__failed=1, broadcast__dropped=3
    )

    text = "“message.created” to chat.room-1 did not reach 4 of 200 sockets: 3 dropped, 1 failed."
    assert told(recorder) == [("bad", "Push missing", text)]


def test_a_push_that_could_not_be_sent_is_told(recorder: Recorder) -> None:
    recorder.push(recorder.request(), 5, error="ConnectionError")

    assert told(recorder) == [("bad", "Push missing", "“message.created” to chat.room-1 could not be sent.")]


def test_a_long_wait_for_a_worker_is_told(recorder: Recorder) -> None:
    recorder.request()
    recorder.attempt(TASK, 1, 9_000, "SUCCESS", messaging__queue_wait_seconds=8.9)

    assert told(recorder) == [("warn", "Long wait", "tasks.report waited 8.9 s for a worker of queue reports.")]


def test_of_many_alike_a_few_are_told_and_the_rest_counted(recorder: Recorder) -> None:
    request = recorder.request()
    for place in range(9):
        recorder.span(
            f"call {place}", place, parent=request, kind=SpanKind.CLIENT, error="E",
            notes=(("exception", {"exception.type": f"Error{place}", "exception.message": ""}),),
        )  # fmt: skip
    found = [text for _, title, text in told(recorder) if title == "Error"]

    assert len(found) == 4
    assert found[-1] == "6 more"


def test_where_nothing_is_wrong_nothing_is_told(recorder: Recorder) -> None:
    recorder.query("post", 5, recorder.request(), 0.4)

    assert told(recorder) == []
