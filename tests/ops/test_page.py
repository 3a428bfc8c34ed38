"""The request page and its JSON: every part of a story, for those who may see it, and nothing of the page itself."""

import json
import re
import uuid
from cProfile import Profile
from datetime import timedelta
from pstats import Stats
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from opentelemetry.trace import SpanKind

from accounts.models import User
from audit.models import Event
from blog.models import Post
from ops import gaps, story
from tasks.models import TaskRun
from telemetry.context import Context, new_request_id, use
from telemetry.tracing import lines, provider
from telemetry.tracing.store import recent_spans
from tests.ops.conftest import Recorder

pytestmark = pytest.mark.django_db
TASK = "01a20a13-5806-7e2e-aa24-03134997b5fb"


def html_of(page: Client, request_id: str) -> str:
    answer = page.get(f"/ops/requests/{request_id}/")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def json_of(page: Client, request_id: str) -> Any:
    return json.loads(page.get(f"/ops/requests/{request_id}/?format=json").content)


def test_a_failed_pipeline_is_told_with_each_attempt_and_its_reason(page: Client, recorder: Recorder) -> None:
    recorder.request("POST /api/tasks/")
    lost = (("retry", {"reason": "OperationalError: the server went away"}),)
    recorder.attempt(TASK, 1, 10, "RETRY", notes=lost)
    recorder.attempt(
        TASK, 2, 4_000, "FAILURE", error="KeyError", notes=(("exception", {"exception.type": "KeyError"}),)
    )
    request_id = recorder.save()
    html, told = html_of(page, request_id), json_of(page, request_id)

    (task,) = told["tasks"]
    assert [(one["number"], one["state"], one["reason"]) for one in task["attempts"]] == [
        (1, "retried", "OperationalError: the server went away"),
        (2, "failed", "KeyError"),
    ]
    assert task["attempts"][1]["wait_ms"] == 5
    assert f'id="task-{TASK}"' in html
    assert html.count("OperationalError: the server went away") >= 1
    assert "of waiting squeezed" in html


def test_after_the_spans_expired_the_database_still_tells_a_tasks_attempts(page: Client) -> None:
    request_id, run_id = new_request_id(), uuid.uuid4()
    with use(Context(request_id=request_id)):
        run = TaskRun.objects.create(id=run_id, name="tests.report", request_id=request_id, outcome="succeeded")
    begin = timezone.now()
    run.past_tries.create(number=1, started_at=begin, ended_at=begin, outcome="retried", error="OperationalError: gone")
    run.past_tries.create(number=2, started_at=begin, ended_at=begin, outcome="succeeded")
    (task,) = json_of(page, request_id)["tasks"]

    assert task["state"] == "succeeded"
    assert [(one["state"], one["reason"]) for one in task["attempts"]] == [
        ("retried", "OperationalError: gone"),
        ("succeeded", ""),
    ]


def test_sql_is_grouped_by_fingerprint_with_its_places(page: Client, recorder: Recorder) -> None:
    request = recorder.request()
    for place in range(12):
        recorder.query("user", place, request, code__location=f"blog/views.py:{place % 2}")
    recorder.query("post", 20, request, 40)
    told = json_of(page, recorder.save())["statements"]

    assert [(one["summary"], one["count"], one["is_repeated"]) for one in told] == [
        ("SELECT post", 1, False),
        ("SELECT user", 12, True),
    ]
    assert told[1]["sites"] == [{"site": "blog/views.py:0", "count": 6}, {"site": "blog/views.py:1", "count": 6}]
    assert (told[1]["total_ms"], told[1]["rows"]) == (12, 12)


def test_a_message_to_two_hundred_sockets_is_one_card(page: Client, recorder: Recorder, developer: User) -> None:
    push = recorder.push(recorder.request("receive /ws/chat/<room>/"), 5)
    recorder.delivery(
        push,
        7,
        broadcast__recipients=150,
        broadcast__delivered=150,
        broadcast__latency__first_ms=2.0,
        broadcast__latency__median_ms=9.5,
        broadcast__latency__p99_ms=40.0,
        broadcast__latency__last_ms=48.0,
        broadcast__latencies_ms=[2 + place / 10 for place in range(50)],
        broadcast__recipient_ids=[str(developer.pk), "999999", str(developer.pk)],
    )
    recorder.delivery(
        push, 8, broadcast__recipients=50, broadcast__delivered=47, broadcast__failed=3, broadcast__dropped=2
    )
    request_id = recorder.save()
    html = html_of(page, request_id)
    (told,) = json_of(page, request_id)["pushes"]

    assert (told["sockets"], told["delivered"], told["failed"], told["dropped"]) == (202, 197, 3, 2)
    assert told["latency_ms"] == {"first": 2, "median": 9.5, "p99": 40, "last": 48}
    assert told["users"] == [{"id": str(developer.pk), "name": "dev"}, {"id": "999999", "name": ""}]
    assert html.count('class="card push"') == 1
    assert "dev, user 999999" in html
    assert len(re.findall(r"<rect", html[html.index('class="histogram"') :])) <= 45


def test_log_lines_stand_between_the_spans_and_exceptions_are_open(page: Client, recorder: Recorder) -> None:
    request = recorder.request()
    recorder.query("post", 40, request)
    request_id = recorder.save()
    at = f"{timezone.now():%Y-%m-%dT%H:%M:%S.%f}Z"
    known = {"request_id": request_id, "span_id": f"{request.span_id:016x}", "timestamp": at}
    frames = ["blog/views.py:31 in post"]
    failed = [{"exc_type": "ValueError", "exc_value": "too <long>", "frames": frames}]
    lines.keep({**known, "event": "blog.image_skipped", "level": "warning", "bytes": 7})
    lines.keep({**known, "event": "blog.failed", "level": "error", "exception": failed})
    lines.keep({**known, "event": "http.request", "level": "error", "status": 500})
    lines.flush()
    html, told = html_of(page, request_id), story.tell(request_id)

    drawn = [(step.depth, step.name) for step in told.steps if step.lane == "log"]
    assert drawn == [(1, "blog.image_skipped"), (1, "blog.failed")]
    assert [line.event for line in told.lines] == ["blog.image_skipped", "blog.failed", "http.request"]
    assert '<pre class="code trace" tabindex="0"> blog/views.py:31 in post ValueError: too &lt;long&gt;</pre>' in html


def test_what_is_missing_is_said(page: Client, recorder: Recorder) -> None:
    recorder.request(spans__dropped=3, sampling__decision="slow")
    recent_spans().note_lost({recorder.request_id: 1})
    missing = json_of(page, recorder.save())["missing"]

    assert any(sentence.startswith("3 spans were dropped: a piece of work keeps") for sentence in missing)
    assert any(sentence.startswith("1 span was dropped on the way here") for sentence in missing)
    assert any("wasn't sampled. It was kept because it was slow" in sentence for sentence in missing)


def test_a_request_whose_spans_expired_says_so() -> None:
    old = Event(recorded_at=timezone.now() - timedelta(hours=2))
    fresh = Event(recorded_at=timezone.now())

    assert "they expired" in gaps.missing_spans([], [old], 0)[0]
    assert "not sampled" in gaps.missing_spans([], [fresh], 0)[0]


def test_a_task_that_no_worker_began_is_missing(page: Client) -> None:
    request_id = new_request_id()
    TaskRun.objects.create(id=uuid.uuid4(), name="tasks.report", request_id=request_id)

    assert "Task tasks.report is queued: no worker has begun it." in json_of(page, request_id)["missing"]


def test_it_links_to_other_tools_only_where_they_are_set(page: Client, recorder: Recorder, settings: Any) -> None:
    recorder.request()
    request_id = recorder.save()
    assert "Grafana" not in html_of(page, request_id)
    settings.TELEMETRY_TRACE_LINKS = {"Grafana": "https://grafana.example.org/t/{trace_id}?r={request_id}", "Tempo": ""}
    html = html_of(page, request_id)

    assert f'href="https://grafana.example.org/t/{recorder.trace_id:032x}?r={request_id}"' in html
    assert "Tempo" not in html


def test_the_request_can_be_copied_as_curl(page: Client, recorder: Recorder) -> None:
    recorder.request(http__request__method="POST", url__path="/blog/it's here/")

    curl = "curl -i -X POST &#x27;http://testserver/blog/it&#x27;&quot;&#x27;&quot;&#x27;s%20here/&#x27;"
    assert curl in html_of(page, recorder.save())


def test_what_spans_hold_is_text_on_the_page(page: Client, recorder: Recorder) -> None:
    evil = '"><script>alert(1)</script>'
    recorder.span(evil, process=evil, code__location=evil, anything=evil, notes=((evil, {"reason": evil}),))
    recorder.push(None, 1, messaging__destination__name=evil, messaging__message__type=evil)

    assert "<script>alert" not in html_of(page, recorder.save())


def test_the_page_is_not_traced_itself(page: Client, recorder: Recorder) -> None:
    recorder.request()
    answer = page.get(f"/ops/requests/{recorder.save()}/")
    provider.pipeline().force_flush()

    assert recent_spans().spans_of(answer["X-Request-ID"]) == []


def test_that_the_ledger_was_read_is_recorded(page: Client, developer: User) -> None:
    request_id = new_request_id()
    with use(Context(request_id=request_id)):
        Post.objects.create(title="Seen", slug="seen", author=developer)
    html_of(page, request_id)

    read = Event.objects.filter(action="audit.ledger.read").latest("id")
    assert (read.actor_id, read.changes["filters"]) == (str(developer.pk), {"request": request_id})


def test_other_requests_that_it_is_linked_with_are_named(page: Client, recorder: Recorder) -> None:
    handshake = Recorder()
    accepted = handshake.span("WEBSOCKET ws/chat/<room>/", kind=SpanKind.SERVER)
    recorder.span("receive /ws/chat/<room>/", kind=SpanKind.SERVER, links=(accepted,))
    cause = handshake.save()

    assert json_of(page, recorder.save())["linked_requests"] == [cause]


def test_five_hundred_spans_are_told_and_drawn_with_bounded_work(page: Client) -> None:
    """Counted in calls of functions, which no machine's speed changes: 760,000 of them took 150 ms when written."""
    calls = {}
    for spans in (250, 500):
        recorder = Recorder()
        request = recorder.request()
        for place in range(spans):
            recorder.query(f"table_{place}", place / 10, request)
        request_id = recorder.save()
        html_of(page, request_id)  # templates are compiled
        with Profile() as profile:
            page.get(f"/ops/requests/{request_id}/")
        calls[spans] = Stats(profile).total_calls  # type: ignore[attr-defined]

    assert calls[500] < 1_200_000
    assert calls[500] < 2.2 * calls[250]
