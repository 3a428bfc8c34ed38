"""A review before a post is published: asked for, approved for a version that was read, or sent back with a note."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from accounts.actions import create_token
from accounts.models import User
from audit.models import Event
from blog import actions, queries, rules
from blog.errors import ConflictError, InvalidError, NotAllowedError
from blog.models import Post, Status
from tasks.models import TaskRun

pytestmark = pytest.mark.django_db
NewEvents = Callable[[str], QuerySet[Event]]
NINE = datetime(2030, 1, 31, 9, 0, tzinfo=UTC)


@pytest.fixture
def contributor(new_user: Callable[..., User]) -> User:
    return new_user("cora", "contributor")


@pytest.fixture
def waiting(contributor: User) -> Post:
    made = actions.create_post(actor=contributor, title="Please read", body="First.")
    return actions.request_review(made, actor=contributor)


def told() -> list[tuple[int, str]]:
    runs = TaskRun.objects.filter(name="notifications.notify_user").order_by("enqueued_at")
    return [(run.arguments["kwargs"]["recipient_id"], run.arguments["kwargs"]["title"]) for run in runs]


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_contributor_writes_and_needs_a_review_to_publish(contributor: User) -> None:
    post = actions.create_post(actor=contributor, title="Mine", body="x")
    actions.update_post(post, actor=contributor, body="y")
    for act in (
        lambda: actions.publish_post(post, actor=contributor),
        lambda: actions.schedule_post(post, actor=contributor, publish_at=NINE),
    ):
        with pytest.raises(NotAllowedError):
            act()
    assert actions.request_review(post, actor=contributor).status == Status.REVIEW


def test_whoever_may_review_is_told_and_sees_it(
    waiting: Post, moderator: User, reader: User, contributor: User
) -> None:
    back = actions.withdraw_review(waiting, actor=contributor)
    assert back.status == Status.DRAFT
    assert back not in queries.posts_visible_to(moderator)
    TaskRun.objects.all().delete()
    actions.request_review(back, actor=contributor)
    assert told() == [(moderator.pk, "Cora asks for a review of “Please read”")]
    assert waiting in queries.posts_visible_to(moderator)
    assert waiting in queries.drafts_visible_to(moderator)
    assert waiting not in queries.posts_visible_to(reader)
    actions.request_review(back, actor=contributor)
    assert len(told()) == 1  # it waits already


def test_an_approved_post_is_published_and_its_author_told(waiting: Post, moderator: User, contributor: User) -> None:
    TaskRun.objects.all().delete()
    approved = actions.approve_post(waiting, actor=moderator, version=waiting.version)
    assert approved.is_published
    assert told() == [(contributor.pk, "Mona approved “Please read”: it's published")]
    assert not rules.can_edit_post(contributor, approved)
    with pytest.raises(NotAllowedError):
        actions.update_post(approved, actor=contributor, body="Unread.")
    assert actions.unpublish_post(approved, actor=contributor).status == Status.DRAFT


def test_what_is_approved_for_a_time_is_published_as_the_reviewer(
    waiting: Post, moderator: User, new_events: NewEvents
) -> None:
    planned = actions.approve_post(waiting, actor=moderator, version=waiting.version, publish_at=NINE)
    assert (planned.status, planned.scheduled_by) == (Status.SCHEDULED, moderator)
    assert planned in queries.posts_visible_to(moderator)
    Post.objects.update(publish_at=timezone.now() - timedelta(seconds=1))
    assert actions.publish_due_posts() == 1
    event = new_events("blog.post.updated").get(changes__status__1="published")
    assert event.actor_label == "mona"


def test_a_text_changed_since_it_was_read_is_not_approved(waiting: Post, moderator: User, contributor: User) -> None:
    read = waiting.version
    changed = actions.update_post(waiting, actor=contributor, body="Second.")
    with pytest.raises(ConflictError):
        actions.approve_post(waiting, actor=moderator, version=read)
    changed.refresh_from_db()
    assert changed.status == Status.REVIEW
    assert actions.approve_post(changed, actor=moderator, version=changed.version).is_published


def test_sent_back_it_is_a_draft_with_a_note_until_the_next_time(
    waiting: Post, moderator: User, contributor: User, new_events: NewEvents
) -> None:
    TaskRun.objects.all().delete()
    back = actions.send_back_post(waiting, actor=moderator, note=" Say who measured it. ")
    assert (back.status, back.review_note) == (Status.DRAFT, "Say who measured it.")
    assert told() == [(contributor.pk, "Mona sent “Please read” back")]
    event = new_events("blog.post.updated").get(changes__has_key="review_note")
    assert event.differences["review_note"] == ["", "Say who measured it."]
    assert actions.request_review(back, actor=contributor).review_note == ""


@pytest.mark.parametrize("note", ["", "  ", "x" * 2_001, "a\x00b"])
def test_a_note_that_says_nothing_or_too_much_is_refused(waiting: Post, moderator: User, note: str) -> None:
    with pytest.raises(InvalidError):
        actions.send_back_post(waiting, actor=moderator, note=note)
    assert Post.objects.get().status == Status.REVIEW


def test_only_a_draft_can_be_reviewed(post: Post, author: User) -> None:
    with pytest.raises(InvalidError, match="only a draft"):
        actions.request_review(post, actor=author)


def test_nobody_reviews_their_own_post(waiting: Post, moderator: User, new_user: Callable[..., User]) -> None:
    both = new_user("bo", "contributor", "moderator")
    waiting.coauthors.add(both)
    assert not rules.can_review_post(both, waiting)
    assert rules.can_review_post(moderator, waiting)
    with pytest.raises(NotAllowedError):
        actions.approve_post(waiting, actor=both, version=waiting.version)


def test_who_does_not_review_decides_nothing(
    waiting: Post, author: User, reader: User, contributor: User, new_events: NewEvents
) -> None:
    for user in (author, reader, contributor):
        with pytest.raises(NotAllowedError):
            actions.approve_post(waiting, actor=user, version=waiting.version)
        with pytest.raises(NotAllowedError):
            actions.send_back_post(waiting, actor=user, note="No.")
    assert [event.changes["action"] for event in new_events("blog.access.denied")] == 3 * [
        *("approve_post", "send_back_post")
    ]


def test_a_decision_that_came_too_late_is_refused(waiting: Post, moderator: User) -> None:
    stale = Post.objects.get(pk=waiting.pk)
    actions.approve_post(waiting, actor=moderator, version=waiting.version)
    with pytest.raises(NotAllowedError):
        actions.send_back_post(stale, actor=moderator, note="Wait.")


# --- pages and API -------------------------------------------------------------------------------------------------


def test_a_review_by_the_pages(contributor: User, moderator: User) -> None:
    writer, reviewer = as_user(contributor), as_user(moderator)
    editor = writer.get("/blog/new/").content.decode()
    assert "Ask for a review" in editor
    assert 'name="publish"' not in editor
    assert 'name="publish_at"' not in editor
    page = writer.post("/blog/new/", {"title": "T", "body": "x", "review": "1"}, follow=True).content.decode()
    assert "It waits for its review now" in page

    assert "In review" in reviewer.get("/blog/drafts/").content.decode()
    page = reviewer.get("/blog/t/").content.decode()
    assert "Your review" in page
    post = Post.objects.get()
    refused = reviewer.post("/blog/t/review/", {"version": post.version, "send_back": "1"})
    assert refused.status_code == 400
    assert "Say what is to be done" in refused.content.decode()
    reviewer.post("/blog/t/review/", {"version": post.version, "note": "Shorter.", "send_back": "1"})
    assert "Shorter." in writer.get("/blog/t/").content.decode()
    assert reviewer.get("/blog/t/").status_code == 404

    writer.post("/blog/t/request-review/")
    writer.post("/blog/t/edit/", {"title": "T", "body": "y"})
    late = reviewer.post("/blog/t/review/", {"version": post.version, "approve": "1"})
    assert late.status_code == 400
    assert "Somebody changed this post" in late.content.decode()
    reviewer.post("/blog/t/review/", {"version": Post.objects.get().version, "approve": "1"})
    assert Post.objects.get().is_published


def test_a_review_can_be_withdrawn_by_the_pages(waiting: Post, contributor: User) -> None:
    as_user(contributor).post("/blog/please-read/withdraw-review/")
    assert Post.objects.get().status == Status.DRAFT


def test_a_review_by_the_api(contributor: User, moderator: User) -> None:
    client = Client()
    tokens = {
        user: create_token(user, actor=user, scopes=("blog:read", "blog:write"))[1] for user in (contributor, moderator)
    }

    def call(user: User, action: str, data: Any = None) -> Any:
        path = f"/api/blog/posts/t/{action}"
        headers = {"Authorization": f"Bearer {tokens[user]}"}
        if data is None:
            return client.get(path, headers=headers)
        return client.post(path, data, content_type="application/json", headers=headers)

    actions.create_post(actor=contributor, title="T", body="x")
    assert call(contributor, "publish/", {}).status_code == 403
    assert call(contributor, "request-review/", {}).json()["status"] == "review"
    assert call(contributor, "withdraw-review/", {}).json()["status"] == "draft"
    call(contributor, "request-review/", {})
    assert call(moderator, "send-back/", {"note": "Shorter."}).json()["review_note"] == "Shorter."
    version = call(contributor, "request-review/", {}).json()["version"]
    late = call(moderator, "approve/", {"version": "2001-01-01T00:00:00+00:00"})
    assert late.status_code == 409
    assert late.headers["Content-Type"] == "application/problem+json"
    answer = call(moderator, "approve/", {"version": version, "publish_at": "2030-01-31T09:00Z"}).json()
    assert (answer["status"], answer["publish_at"]) == ("scheduled", "2030-01-31T09:00:00Z")
