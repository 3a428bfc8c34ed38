"""Programs ask whether anything changed, and no update of theirs takes another's away."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.http import http_date

from accounts.models import User
from blog import actions
from blog.api import conditions
from blog.models import Category, Post
from tests.blog.test_discussion import as_user

pytestmark = pytest.mark.django_db
POST = "/api/blog/posts/on-being-seen/"


@pytest.fixture
def old(post: Post) -> Post:
    then = timezone.now() - timedelta(minutes=5)
    Post.objects.filter(pk=post.pk).update(updated_at=then, published_at=then)
    post.refresh_from_db()
    return post


def patch(client: Client, data: dict[str, Any], **headers: str) -> Any:
    return client.patch(POST, data, content_type="application/json", headers=headers)


@pytest.mark.parametrize(
    "path",
    [
        POST,
        "/api/blog/posts/",
        f"{POST}comments/",
        "/api/blog/categories/",
        "/api/blog/tags/",
        "/api/blog/posts/?q=seen",
    ],
)
def test_who_has_an_answer_already_is_told_so_until_it_changes(
    client: Client, old: Post, author: User, path: str
) -> None:
    Category.objects.create(name="Glass", slug="glass")
    first = client.get(path)
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    actions.update_post(old, actor=author, title="Being seen", category="glass", tags=["clear"])
    actions.add_comment(old, author=author, body="x")
    changed = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_a_name_that_is_shown_makes_another_answer(client: Client, old: Post) -> None:
    first = client.get(POST).headers["ETag"]
    User.objects.filter(pk=old.author_id).update(display_name="Anne")
    assert client.get(POST, headers={"If-None-Match": first}).status_code == 200


def test_dates_do_as_well_but_not_within_their_second(client: Client, old: Post, author: User) -> None:
    told = client.get(POST).headers["Last-Modified"]
    assert told == http_date(int(old.updated_at.timestamp()))
    assert client.get(POST, headers={"If-Modified-Since": told}).status_code == 304
    actions.update_post(old, actor=author, body="New.")
    response = client.get(POST, headers={"If-Modified-Since": told})
    assert response.status_code == 200
    assert "Last-Modified" not in response.headers


def test_an_answer_is_for_whoever_may_see_it(client: Client, draft: Post, author: User) -> None:
    mine = as_user(author).get("/api/blog/posts/on-drafts/").headers["ETag"]
    assert client.get("/api/blog/posts/on-drafts/", headers={"If-None-Match": mine}).status_code == 404


def test_an_update_of_what_somebody_else_changed_is_refused(old: Post, author: User) -> None:
    client = as_user(author)
    read = client.get(POST).headers["ETag"]
    changed = patch(client, {"body": "Mine."}, **{"If-Match": read})
    assert changed.status_code == 200
    assert changed.headers["ETag"] == client.get(POST).headers["ETag"] != read
    refused = patch(client, {"body": "Yours."}, **{"If-Match": read})
    assert (refused.status_code, refused.headers["Content-Type"]) == (412, "application/problem+json")
    assert "Read it again" in refused.json()["detail"]
    assert client.delete(POST, headers={"If-Match": read}).status_code == 412
    assert Post.objects.get().body_markdown == "Mine."
    assert patch(client, {"body": "Yours."}, **{"If-Match": f'"other", {changed.headers["ETag"]}'}).status_code == 200
    assert client.delete(POST, headers={"If-Match": "*"}).status_code == 204


@pytest.mark.parametrize("odd", ['W/"{}"', "{}", '"x"', ""])
def test_what_is_no_strong_match_is_none(old: Post, author: User, odd: str) -> None:
    client = as_user(author)
    value = odd.format(client.get(POST).headers["ETag"].strip('"'))
    assert patch(client, {"body": "Mine."}, **{"If-Match": value}).status_code == 412


def test_an_update_that_comes_between_check_and_change_is_kept(
    old: Post, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, real = as_user(author), conditions.etag_of
    read = client.get(POST).headers["ETag"]

    def meanwhile(data: Any) -> str:
        actions.update_post(Post.objects.get(), actor=author, body="Faster.")
        return real(data)

    monkeypatch.setattr(conditions, "etag_of", meanwhile)
    assert patch(client, {"body": "Slower."}, **{"If-Match": read}).status_code == 412
    assert client.delete(POST, headers={"If-Match": read}).status_code == 412
    assert Post.objects.get().body_markdown == "Faster."


def test_without_a_condition_the_last_one_wins(old: Post, author: User) -> None:
    assert patch(as_user(author), {"body": "Mine."}).status_code == 200


def test_refusals_have_no_version(client: Client, old: Post) -> None:
    for path in ("/api/blog/posts/none/", "/api/blog/posts/?status=x"):
        assert "ETag" not in client.get(path).headers


def test_the_schema_tells_of_conditions(client: Client) -> None:
    operation = client.get("/api/schema/?format=json").json()["paths"]["/api/blog/posts/{slug}/"]
    assert "412" in operation["patch"]["responses"]
    assert "304" in operation["get"]["responses"]
    assert {"name": "If-Match", "in": "header"}.items() <= operation["delete"]["parameters"][0].items()


# --- a post's life, and comments -------------------------------------------------------------------------------------


def send(client: Client, path: str, data: dict[str, Any] | None = None, **headers: str) -> Any:
    return client.post(path, data or {}, content_type="application/json", headers=headers)


@pytest.mark.parametrize(
    ("step", "status", "data"),
    [
        ("publish", "draft", {}),
        ("schedule", "draft", {"publish_at": "2035-01-31T09:00Z"}),
        ("unschedule", "scheduled", {}),
        ("request-review", "draft", {}),
        ("withdraw-review", "review", {}),
        ("send-back", "review", {"note": "More."}),
        ("unpublish", "published", {}),
    ],
)
def test_each_step_of_a_post_is_done_with_what_was_read_or_not_at_all(
    draft: Post, author: User, admin_user: User, step: str, status: str, data: dict[str, Any]
) -> None:
    client, address = as_user(admin_user), "/api/blog/posts/on-drafts/"
    if status == "scheduled":
        actions.schedule_post(draft, actor=author, publish_at=timezone.now() + timedelta(days=1))
    elif status == "review":
        actions.request_review(draft, actor=author)
    elif status == "published":
        actions.publish_post(draft, actor=author)
    read = client.get(address).headers["ETag"]
    actions.update_post(draft, actor=author, body="Faster.")
    assert send(client, f"{address}{step}/", data, **{"If-Match": read}).status_code == 412
    assert Post.objects.get().status == status
    done = send(client, f"{address}{step}/", data, **{"If-Match": client.get(address).headers["ETag"]})
    assert done.status_code == 200
    assert done.json()["status"] == Post.objects.get().status != status
    assert done.headers["ETag"] == client.get(address).headers["ETag"]


def test_a_comment_has_its_version_too(old: Post, reader: User, moderator: User) -> None:
    comment = actions.add_comment(old, author=reader, body="First.")
    client, address = as_user(reader), f"/api/blog/comments/{comment.pk}/"
    first = client.get(address)
    assert first.json()["body"] == "First."
    read = first.headers["ETag"]
    assert client.get(address, headers={"If-None-Match": read}).status_code == 304
    actions.edit_comment(comment, actor=moderator, body="Second.")
    refused = client.patch(address, {"body": "Mine."}, content_type="application/json", headers={"If-Match": read})
    assert refused.status_code == 412
    assert client.delete(address, headers={"If-Match": read}).status_code == 412
    now = client.get(address).headers["ETag"]
    changed = client.patch(address, {"body": "Mine."}, content_type="application/json", headers={"If-Match": now})
    assert changed.headers["ETag"] == client.get(address).headers["ETag"]
    assert client.delete(address, headers={"If-Match": changed.headers["ETag"]}).status_code == 204


def test_a_comment_on_anothers_draft_is_not_there(post: Post, author: User, reader: User) -> None:
    comment = actions.add_comment(post, author=reader, body="x")
    actions.unpublish_post(post, actor=author)
    assert as_user(reader).get(f"/api/blog/comments/{comment.pk}/").status_code == 404
