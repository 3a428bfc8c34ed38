"""Posts that publish themselves: when, by whom in the ledger, once, and not when it was taken back."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from celery.schedules import crontab
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from accounts.actions import create_token
from accounts.models import User
from audit.models import Event
from blog import actions, limits, queries
from blog.errors import InvalidError, NotAllowedError
from blog.models import Post, Status
from blog.tasks import publish_due_posts
from tasks.models import TaskRun
from tasks.schedule import BEAT_SCHEDULE
from telemetry.context import Actor, Context, new_request_id, use

pytestmark = pytest.mark.django_db
NewEvents = Callable[[str], QuerySet[Event]]
NINE = datetime(2030, 1, 31, 9, 0, tzinfo=UTC)


def make_due(post: Post) -> None:
    Post.objects.filter(pk=post.pk).update(publish_at=timezone.now() - timedelta(seconds=1))


@pytest.fixture
def scheduled(draft: Post, author: User) -> Post:
    return actions.schedule_post(draft, actor=author, publish_at=NINE)


def test_a_scheduled_post_waits_unseen_until_its_time(scheduled: Post, reader: User) -> None:
    assert (scheduled.status, scheduled.publish_at, scheduled.published_at) == (Status.SCHEDULED, NINE, None)
    assert publish_due_posts() == 0
    assert scheduled not in queries.published_posts()
    assert scheduled not in queries.posts_visible_to(reader)
    make_due(scheduled)
    before = timezone.now()
    assert publish_due_posts() == 1
    scheduled.refresh_from_db()
    assert scheduled.is_published
    assert (scheduled.publish_at, scheduled.scheduled_by) == (None, None)
    assert scheduled.published_at is not None
    assert scheduled.published_at >= before
    assert publish_due_posts() == 0


def test_the_ledger_says_who_scheduled_it_and_that_a_task_did_it(
    scheduled: Post, author: User, new_events: NewEvents
) -> None:
    make_due(scheduled)
    request_id = new_request_id()
    beat = Context(
        request_id=request_id, origin="task", operation="blog.publish_due_posts", actor_source=Actor("system")
    )
    with use(beat):
        publish_due_posts()
    event = new_events("blog.post.updated").filter(changes__status__1="published").get()
    assert event.differences["status"] == ["scheduled", "published"]
    assert (event.actor_type, event.actor_id, event.actor_label) == ("user", str(author.pk), "anna")
    assert (event.origin, event.operation, event.request_id) == ("task", "blog.publish_due_posts", request_id)


def test_whoever_was_not_there_is_told(scheduled: Post, author: User, other_author: User) -> None:
    scheduled.coauthors.add(other_author)
    make_due(scheduled)
    publish_due_posts()
    told = [run.arguments["kwargs"] for run in TaskRun.objects.filter(name="notifications.notify_user")]
    assert {one["recipient_id"] for one in told} == {author.pk, other_author.pk}
    assert {(one["kind"], one["title"]) for one in told} == {("schedule", "“On drafts” is published, as scheduled")}


def test_beat_looks_each_minute_and_keeps_no_row_of_it(scheduled: Post) -> None:
    entry = BEAT_SCHEDULE["blog.publish_due_posts"]
    assert entry["schedule"] == crontab(minute="*")
    assert entry["task"] == publish_due_posts.name
    assert not publish_due_posts.is_recorded


def test_another_time_and_taking_it_back_hold(scheduled: Post, author: User) -> None:
    later = actions.schedule_post(scheduled, actor=author, publish_at=NINE + timedelta(days=1))
    assert later.publish_at == NINE + timedelta(days=1)
    make_due(later)
    back = actions.unschedule_post(later, actor=author)
    assert (back.status, back.publish_at, back.scheduled_by) == (Status.DRAFT, None, None)
    assert publish_due_posts() == 0
    assert actions.unschedule_post(back, actor=author).status == Status.DRAFT


def test_publishing_it_at_once_ends_the_schedule(scheduled: Post, author: User) -> None:
    now = actions.publish_post(scheduled, actor=author)
    assert now.is_published
    assert (now.publish_at, now.scheduled_by) == (None, None)


def test_its_text_can_be_changed_meanwhile(scheduled: Post, author: User) -> None:
    actions.update_post(scheduled, actor=author, body="Better.")
    make_due(scheduled)
    publish_due_posts()
    scheduled.refresh_from_db()
    assert (scheduled.body_markdown, scheduled.is_published) == ("Better.", True)


@pytest.mark.parametrize(
    ("publish_at", "said"),
    [
        (timezone.now() - timedelta(minutes=1), "past"),
        (timezone.now() + timedelta(days=limits.SCHEDULE_DAYS + 1), "days away"),
        (datetime(2030, 1, 1, 9, 0), "offset from UTC"),  # noqa: DTZ001
    ],
)
def test_times_that_cannot_be_are_explained(draft: Post, author: User, publish_at: datetime, said: str) -> None:
    with pytest.raises(InvalidError) as caught:
        actions.schedule_post(draft, actor=author, publish_at=publish_at)
    assert said in caught.value.messages["publish_at"]


def test_a_published_post_cannot_be_scheduled(post: Post, author: User) -> None:
    with pytest.raises(InvalidError, match="published already"):
        actions.schedule_post(post, actor=author, publish_at=NINE)


def test_who_may_no_longer_publish_does_not_publish_later(
    scheduled: Post, author: User, other_author: User, new_events: NewEvents
) -> None:
    scheduled.coauthors.add(other_author)
    make_due(scheduled)
    User.objects.filter(pk=author.pk).update(is_active=False)
    assert publish_due_posts() == 0
    scheduled.refresh_from_db()
    assert (scheduled.status, scheduled.publish_at) == (Status.DRAFT, None)
    denial = new_events("blog.access.denied").get()
    assert (denial.changes, denial.actor_label) == ({"action": "publish_post"}, "anna")
    told = TaskRun.objects.get(name="notifications.notify_user").arguments["kwargs"]
    assert told["recipient_id"] == other_author.pk
    assert told["title"] == "“On drafts” was not published: Anna may no longer publish it"


def test_one_that_cannot_be_published_holds_up_no_other(
    scheduled: Post, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = actions.create_post(actor=author, title="Second", body="x")
    actions.schedule_post(other, actor=author, publish_at=NINE + timedelta(days=1))
    Post.objects.filter(pk=scheduled.pk).update(publish_at=timezone.now() - timedelta(hours=2))
    make_due(other)
    release = actions.scheduling.release

    def broken(post: Post) -> None:
        if post.pk == scheduled.pk:
            raise RuntimeError("broken")
        release(post)

    monkeypatch.setattr(actions.scheduling, "release", broken)
    with pytest.raises(RuntimeError, match="broken"):
        actions.publish_due_posts()
    other.refresh_from_db()
    scheduled.refresh_from_db()
    assert (other.status, scheduled.status) == (Status.PUBLISHED, Status.SCHEDULED)


@pytest.mark.parametrize(
    "wrong",
    [{"publish_at": None}, {"scheduled_by": None}, {"status": Status.DRAFT}],
)
def test_the_database_holds_a_schedule_together(scheduled: Post, wrong: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Post.objects.filter(pk=scheduled.pk).update(**wrong)


def test_strangers_schedule_nothing(draft: Post, other_author: User, scheduled: Post) -> None:
    with pytest.raises(NotAllowedError):
        actions.schedule_post(draft, actor=other_author, publish_at=NINE)
    with pytest.raises(NotAllowedError):
        actions.unschedule_post(scheduled, actor=other_author)


# --- two runs at once ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_publish_each_post_once(author: User, new_events: NewEvents) -> None:
    posts = [actions.create_post(actor=author, title=f"P{number}", body="x") for number in range(6)]
    for post in posts:
        actions.schedule_post(post, actor=author, publish_at=NINE)
    Post.objects.update(publish_at=timezone.now() - timedelta(seconds=1))
    barrier, counts = threading.Barrier(2, timeout=60), []

    def run() -> None:
        barrier.wait()
        try:
            counts.append(actions.publish_due_posts())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    # One that came between the other's lock and its commit leaves the post to it.
    assert sum(counts) == 6
    published = new_events("blog.post.updated").filter(changes__status__1="published")
    assert sorted(event.object_id for event in published) == sorted(str(post.pk) for post in posts)


@pytest.mark.django_db(transaction=True)
def test_a_post_that_somebody_is_changing_waits_for_the_next_run(
    scheduled: Post, superuser: psycopg.Connection
) -> None:
    make_due(scheduled)
    with superuser.transaction():
        superuser.execute("SELECT FROM blog_post WHERE id = %s FOR UPDATE", [scheduled.pk])
        assert actions.publish_due_posts() == 0
    assert actions.publish_due_posts() == 1


# --- pages and API -------------------------------------------------------------------------------------------------


@pytest.fixture
def as_author(author: User) -> Client:
    client = Client()
    client.force_login(author)
    return client


def test_the_editor_schedules_reschedules_and_takes_back(as_author: Client) -> None:
    typed = {"title": "Later", "body": "x", "publish_at": "2030-01-31T09:00"}
    page = as_author.post("/blog/new/", {**typed, "schedule": "1"}, follow=True).content.decode()
    assert "publishes itself on 31 January 2030 at 09:00 UTC" in page
    post = Post.objects.get()
    assert (post.status, post.publish_at) == (Status.SCHEDULED, NINE)
    editor = as_author.get("/blog/later/edit/").content.decode()
    assert 'value="2030-01-31T09:00"' in editor
    assert "Publish at (UTC)" in editor
    assert "31 Jan 2030, 09:00 UTC" in as_author.get("/blog/drafts/").content.decode()

    as_author.post("/blog/later/edit/", {**typed, "publish_at": "2030-02-01T10:30", "schedule": "1"})
    assert Post.objects.get().publish_at == datetime(2030, 2, 1, 10, 30, tzinfo=UTC)
    as_author.post("/blog/later/edit/", {**typed, "body": "y", "draft": "1"})
    post = Post.objects.get()
    assert (post.status, post.body_markdown) == (Status.DRAFT, "y")


@pytest.mark.parametrize(
    ("publish_at", "said"),
    [("", "Choose when"), ("2001-01-01T09:00", "This is past"), ("soon", "write 2030-01-31T09:00")],
)
def test_a_time_that_is_wrong_is_explained_and_nothing_is_kept_by_half(
    as_author: Client, publish_at: str, said: str
) -> None:
    response = as_author.post("/blog/new/", {"title": "T", "body": "x", "publish_at": publish_at, "schedule": "1"})
    assert response.status_code == 400
    assert said in response.content.decode()
    assert not Post.objects.exists()


def test_a_published_posts_editor_offers_no_time(as_author: Client, post: Post) -> None:
    assert "publish_at" not in as_author.get("/blog/on-being-seen/edit/").content.decode()


def test_a_scheduled_posts_page_offers_to_take_it_back(as_author: Client, scheduled: Post) -> None:
    page = as_author.get("/blog/on-drafts/").content.decode()
    assert "Scheduled" in page
    assert "publishes itself on" in page
    as_author.post("/blog/on-drafts/unschedule/")
    assert Post.objects.get().status == Status.DRAFT


def test_the_api_schedules_lists_and_takes_back(draft: Post, author: User, reader: User) -> None:
    client = Client()

    def call(user: User, path: str, data: Any = None) -> Any:
        _, text = create_token(user, actor=user, scopes=("blog:read", "blog:write"))
        headers = {"Authorization": f"Bearer {text}"}
        if data is None:
            return client.get(path, headers=headers)
        return client.post(path, data, content_type="application/json", headers=headers)

    path = "/api/blog/posts/on-drafts/"
    answer = call(author, f"{path}schedule/", {"publish_at": "2030-01-31T10:00+01:00"}).json()
    assert (answer["status"], answer["publish_at"]) == ("scheduled", "2030-01-31T09:00:00Z")
    listed = call(author, "/api/blog/posts/?status=scheduled").json()["results"]
    assert [(item["slug"], item["publish_at"]) for item in listed] == [("on-drafts", "2030-01-31T09:00:00Z")]
    assert call(author, "/api/blog/posts/?status=draft").json()["results"] == []
    assert call(reader, "/api/blog/posts/?status=scheduled").json()["results"] == []
    assert call(reader, f"{path}unschedule/", {}).status_code == 404
    past = call(author, f"{path}schedule/", {"publish_at": "2001-01-31T10:00Z"})
    assert past.status_code == 400
    assert "publish_at" in past.content.decode()
    assert call(author, f"{path}unschedule/", {}).json()["status"] == "draft"
