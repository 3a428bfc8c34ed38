"""The ways to a request: its id, its trace, a task, a user, an object."""

import json
import uuid
from typing import Any

import pytest
from django.test import Client

import audit
from accounts.models import User
from audit.models import Event
from blog.models import Post
from ops import lookup
from tasks.models import TaskRun
from telemetry.context import Actor, Context, new_request_id, use
from tests.ops.conftest import Recorder

pytestmark = pytest.mark.django_db
TASK = "01a20a13-5806-7e2e-aa24-03134997b5fb"


def changed_post(author: User) -> tuple[Post, str]:
    request_id = new_request_id()
    trace_id = uuid.uuid4().hex
    context = Context(request_id=request_id, trace_id=trace_id, origin="http", operation="POST /blog/new/")
    with use(context):
        return Post.objects.create(title="Seen", slug="seen", author=author), request_id


def test_a_trace_and_a_task_lead_to_their_request(page: Client, recorder: Recorder) -> None:
    recorder.request()
    recorder.attempt(TASK, 1, 10, "SUCCESS")
    request_id = recorder.save()
    here = f"/ops/requests/{request_id}/"

    for wanted in (request_id, f"{recorder.trace_id:032x}", f"{recorder.trace_id:032X}"):
        assert page.get("/ops/requests/", {"q": wanted})["Location"] == here
    assert page.get("/ops/requests/", {"q": TASK})["Location"] == f"{here}#task-{TASK}"
    assert page.get(f"/ops/traces/{recorder.trace_id:032x}/")["Location"] == here
    assert page.get(f"/ops/tasks/{TASK}/")["Location"] == f"{here}#task-{TASK}"
    assert page.get(f"/ops/requests/{recorder.trace_id:032x}/")["Location"] == here
    assert page.get(f"/ops/tasks/{TASK}/?format=json")["Location"] == f"{here}?format=json#task-{TASK}"


def test_what_has_expired_is_found_by_the_ledger_and_the_tasks_row(page: Client, author: User) -> None:
    _, request_id = changed_post(author)
    trace_id = Event.objects.filter(request_id=request_id).values_list("trace_id", flat=True)[0]
    run = TaskRun.objects.create(id=uuid.uuid4(), name="tasks.report", request_id=request_id)

    assert lookup.request_of_trace(trace_id) == request_id
    assert lookup.request_of_task(str(run.pk)) == request_id


def test_an_object_leads_to_the_requests_that_changed_it(page: Client, author: User) -> None:
    post, request_id = changed_post(author)
    assert page.get("/ops/requests/", {"q": f"blog.post/{post.pk}"})["Location"] == f"/ops/objects/blog.post/{post.pk}/"
    listed = json.loads(page.get(f"/ops/objects/blog.post/{post.pk}/?format=json").content)["requests"]

    assert [(row["request_id"], row["actions"]) for row in listed] == [(request_id, ["blog.post.created"])]
    assert request_id in page.get(f"/ops/objects/blog.post/{post.pk}/").content.decode()


def test_a_user_leads_to_what_they_asked_for_with_and_without_a_change(
    page: Client, author: User, recorder: Recorder
) -> None:
    with use(Context(request_id=(changed := new_request_id()), actor_source=Actor("user", str(author.pk), "author"))):
        audit.record("accounts.user.logged_in")
    recorder.request(user__id=str(author.pk))
    read = recorder.save()
    here = f"/ops/users/{author.pk}/"

    for wanted in ("author", f"user:{author.pk}", "user:author"):
        assert page.get("/ops/requests/", {"q": wanted})["Location"] == here
    listed = json.loads(page.get(f"{here}?format=json").content)["requests"]
    assert {row["request_id"]: row["actions"] for row in listed} == {read: [], changed: ["accounts.user.logged_in"]}
    assert "Requests of author" in page.get(here).content.decode()


def test_a_request_in_the_ledger_that_is_kept_is_listed_with_what_the_store_knows(
    page: Client, author: User, recorder: Recorder
) -> None:
    recorder.request("POST /blog/new/")
    request_id = recorder.save()
    with use(Context(request_id=request_id)):
        post = Post.objects.create(title="Seen", slug="seen", author=author)
    (row,) = lookup.requests_of_object("blog.post", str(post.pk))[0]

    assert (row.name, row.span_count, row.actions) == ("POST /blog/new/", 1, ["blog.post.created"])


def test_reading_the_ledger_for_a_list_is_recorded(page: Client, developer: User, author: User) -> None:
    post, _ = changed_post(author)
    page.get(f"/ops/objects/blog.post/{post.pk}/")
    read = Event.objects.filter(action="audit.ledger.read").latest("id")

    assert read.actor_id == str(developer.pk)
    assert read.changes == {"filters": {"object_type": "blog.post", "object_id": str(post.pk)}, "events": 1}


@pytest.mark.parametrize(
    "wanted", ["no-such-id-anywhere", "<script>", "blog.post/", "x" * 400, "user:nobody", "a b", "%"]
)
def test_what_nobody_knows_is_said_and_nothing_breaks(page: Client, wanted: str) -> None:
    answer = page.get("/ops/requests/", {"q": wanted}, follow=True)

    assert answer.status_code in (200, 404)
    assert "Nothing is known" in answer.content.decode()
    assert "<script>" not in answer.content.decode().replace("<script type=", "")


@pytest.mark.parametrize(
    "address",
    [
        "/ops/traces/deadbeefdeadbeef/",
        "/ops/tasks/not-a-task/",
        "/ops/traces/x/",
        "/ops/requests/no/",
        "/ops/tasks/%00/",
    ],
)
def test_addresses_of_nothing_are_not_found(page: Client, address: str) -> None:
    assert page.get(address).status_code in (400, 404)


@pytest.mark.parametrize(
    "address", ["/ops/objects/blog.post/,/", "/ops/objects/*/1/", "/ops/users/,/", "/ops/users/999/"]
)
def test_lists_of_nothing_are_empty(page: Client, address: str) -> None:
    answer = page.get(address)

    assert answer.status_code == 200
    assert "No request is known" in answer.content.decode()


@pytest.mark.parametrize(
    "address",
    ["requests/", "requests/12345678/", "traces/12345678/", "tasks/12345678/", "users/1/", "objects/blog.post/1/"],
)
def test_every_way_is_for_those_alone_who_may_follow_requests(client: Client, author: User, address: str) -> None:
    assert client.get(f"/ops/{address}").status_code == 302
    client.force_login(author)

    assert client.get(f"/ops/{address}").status_code == 403


def test_the_pages_only_read(page: Client) -> None:
    assert page.post("/ops/requests/").status_code == 405


def test_a_store_that_is_down_leaves_the_ledgers_ways(page: Client, author: User, settings: Any) -> None:
    post, request_id = changed_post(author)
    settings.TELEMETRY_REDIS_URL = "unix:///nowhere/redis.sock"

    assert "doesn&#x27;t answer" in page.get("/ops/requests/").content.decode()
    assert request_id in page.get(f"/ops/objects/blog.post/{post.pk}/").content.decode()
    assert page.get(f"/ops/users/{author.pk}/").status_code == 200
    assert page.get("/ops/requests/", {"q": request_id})["Location"] == f"/ops/requests/{request_id}/"


@pytest.fixture
def author(db: None) -> User:
    return User.objects.create_user("author")
