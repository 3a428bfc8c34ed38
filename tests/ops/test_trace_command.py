"""`manage trace`: a story in the terminal."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from accounts.models import User
from audit.models import Event
from blog.models import Post
from telemetry.context import Context, new_request_id, use
from tests.ops.conftest import Recorder

pytestmark = pytest.mark.django_db
TASK = "01a20a13-5806-7e2e-aa24-03134997b5fb"


def trace(*arguments: Any) -> str:
    out = StringIO()
    call_command("trace", *arguments, stdout=out, no_color=True)
    return out.getvalue()


def test_it_draws_the_tree_with_bars_and_says_what_to_look_at_first(recorder: Recorder) -> None:
    request = recorder.request()
    for place in range(12):
        recorder.query("user", 10 + 5 * place, request, 2)
    recorder.attempt(TASK, 1, 120, "RETRY", error="E", notes=(("retry", {"reason": "the server went away"}),))
    recorder.push(request, 95)
    text = trace(recorder.save(), "--width", "100")
    drawn = [line for line in text.splitlines() if "█" in line or "━" in line or "▓" in line]

    assert "N+1           SELECT user ran 12 times at user/queries.py:31, 24 ms in all." in text
    assert "1. retried, begun at 120 ms, waited 5.00 ms, ran 1.00 ms\n       the server went away" in text
    assert "message.created to chat.room-1: no delivery known" in text
    assert drawn[0].startswith("HTTP GET /blog/ [web]")
    assert drawn[1].startswith("  SQL SELECT user 12x N+1")
    assert drawn[2].startswith("✗ task process tasks.report [worker]")
    assert {len(line) for line in drawn} == {100}


def test_a_trace_or_task_id_does_as_well(recorder: Recorder) -> None:
    recorder.request()
    recorder.attempt(TASK, 1, 10, "SUCCESS")
    request_id = recorder.save()

    for wanted in (f"{recorder.trace_id:032x}", TASK):
        assert f"request {request_id}" in trace(wanted)


def test_json_is_what_the_page_gives(recorder: Recorder) -> None:
    recorder.request()
    request_id = recorder.save()
    told = json.loads(trace(request_id, "--format", "json"))

    assert told["request_id"] == request_id
    assert [step["name"] for step in told["steps"]] == ["GET /blog/"]


def test_a_user_and_an_object_give_lists(recorder: Recorder) -> None:
    author = User.objects.create_user("author")
    with use(Context(request_id=(request_id := new_request_id()))):
        post = Post.objects.create(title="Seen", slug="seen", author=author)
    recorder.request(user__id=str(author.pk))

    assert recorder.save() in trace("author")
    assert request_id in trace(f"blog.post/{post.pk}")
    assert json.loads(trace(f"blog.post/{post.pk}", "--format", "json"))["requests"][0]["request_id"] == request_id


@pytest.mark.parametrize("wanted", ["0123456789abcdef", "?", "blog.post/77", "user:nobody", TASK])
def test_it_ends_with_1_where_nothing_is_known(wanted: str, servers: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        trace(wanted)

    assert ended.value.code == 1


def test_personal_values_stay_hidden_and_the_reading_is_recorded() -> None:
    with use(Context(request_id=(request_id := new_request_id()))):
        User.objects.create_user("bob", email="canary@example.org")
    text = trace(request_id) + trace(request_id, "--format", "json")

    assert "accounts.user.created" in text
    assert "canary@example.org" not in text
    assert Event.objects.filter(action="audit.ledger.read").count() == 2


def test_no_text_of_a_story_moves_the_terminals_cursor(recorder: Recorder) -> None:
    escape = "\x1b[2J\x07"
    recorder.span(f"name{escape}", process=f"web{escape}", notes=(("exception", {"exception.message": f"m{escape}"}),))
    with use(Context(request_id=recorder.request_id)):
        User.objects.create_user(f"bob{escape}"[:20])

    assert "\x1b" not in trace(recorder.save())


def test_a_store_that_is_down_leaves_the_ledgers_part(settings: Any, servers: Any) -> None:
    with use(Context(request_id=(request_id := new_request_id()))):
        User.objects.create_user("bob")
    settings.TELEMETRY_REDIS_URL = "unix:///nowhere/redis.sock"
    text = trace(request_id)

    assert "accounts.user.created" in text
    assert "doesn't answer" in text
