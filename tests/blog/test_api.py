"""The API does what the pages do, by the same rules."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from accounts.actions import create_token
from accounts.models import User
from blog import actions
from blog.models import Comment, Post

pytestmark = pytest.mark.django_db
POSTS = "/api/blog/posts/"


class Api:
    """A client with a token, or without one."""

    def __init__(self, user: User | None = None, *scopes: str) -> None:
        self.client = Client()
        self.headers: dict[str, str] = {}
        if user is not None:
            _, text = create_token(user, actor=user, scopes=scopes or ("blog:read", "blog:write"))
            self.headers["Authorization"] = f"Bearer {text}"

    def __call__(self, method: str, path: str, data: Any = None) -> Any:
        send = getattr(self.client, method)
        if method == "get":
            return send(path, data, headers=self.headers)
        return send(path, data, content_type="application/json", headers=self.headers)


NewApi = Callable[..., Api]


def test_strangers_read_what_is_published_and_write_nothing(post: Post, draft: Post) -> None:
    api = Api()
    assert [item["slug"] for item in api("get", POSTS).json()["results"]] == ["on-being-seen"]
    assert api("get", f"{POSTS}on-being-seen/").json()["body"] == "A **short** post."
    assert api("get", f"{POSTS}on-drafts/").status_code == 404
    assert api("get", POSTS, {"status": "draft"}).json()["results"] == []
    for method, path in (("post", POSTS), ("patch", f"{POSTS}on-being-seen/"), ("delete", f"{POSTS}on-being-seen/")):
        response = api(method, path, {"title": "x", "body": "y"})
        assert response.status_code == 401
        assert response.headers["Content-Type"] == "application/problem+json"
    assert Post.objects.get(pk=post.pk).title == "On being seen"


def test_a_list_shows_summaries_and_no_texts(post: Post) -> None:
    item = Api()("get", POSTS).json()["results"][0]
    assert item["summary"] == "A short post."
    assert item["author"] == {"username": "anna", "name": "Anna"}
    assert "body" not in item
    assert "body_html" not in item


def test_pages_follow_each_other_by_cursor(author: User) -> None:
    for number in range(5):
        post = actions.create_post(actor=author, title=f"Post {number}", body="x")
        actions.publish_post(post, actor=author)
    api, seen = Api(), []
    address = f"{POSTS}?limit=2"
    while address:
        page = api("get", address).json()
        seen += [item["title"] for item in page["results"]]
        address = page["next"]
    assert seen == [f"Post {number}" for number in (4, 3, 2, 1, 0)]


def test_the_archive_of_a_month_is_asked_for_by_its_ends(author: User) -> None:
    for title, month in (("January", 1), ("February", 2), ("March", 3)):
        post = actions.publish_post(actions.create_post(actor=author, title=title, body="x"), actor=author)
        Post.objects.filter(pk=post.pk).update(published_at=datetime(2026, month, 1, tzinfo=UTC))
    api = Api()
    february = api("get", POSTS, {"since": "2026-02-01T00:00Z", "until": "2026-03-01T00:00Z"}).json()
    assert [item["title"] for item in february["results"]] == ["February"]
    later = api("get", POSTS, {"since": "2026-02-01"}).json()
    assert [item["title"] for item in later["results"]] == ["March", "February"]
    wrong = api("get", POSTS, {"until": "soon"})
    assert (wrong.status_code, set(wrong.json()["errors"])) == (400, {"until"})


def test_a_post_lives_its_life_by_the_api(author: User) -> None:
    api = Api(author)
    made = api("post", POSTS, {"title": "By API", "body": "One.", "description": "D."})
    assert made.status_code == 201
    assert made.headers["Location"].endswith("/api/blog/posts/by-api/")
    assert made.json()["status"] == "draft"
    assert [item["slug"] for item in api("get", POSTS, {"status": "draft"}).json()["results"]] == ["by-api"]
    assert api("post", f"{POSTS}by-api/publish/").json()["status"] == "published"
    changed = api("patch", f"{POSTS}by-api/", {"body": "Two."}).json()
    assert (changed["body_html"], changed["title"]) == ("<p>Two.</p>\n", "By API")
    assert api("post", f"{POSTS}by-api/unpublish/").json()["published_at"] is None
    assert api("delete", f"{POSTS}by-api/").status_code == 204
    assert not Post.objects.exists()


def test_a_comment_lives_its_life_by_the_api(post: Post, reader: User, author: User) -> None:
    api, comments = Api(reader), f"{POSTS}on-being-seen/comments/"
    made = api("post", comments, {"body": "Well <b>said</b>."})
    assert made.status_code == 201
    assert made.json()["body_html"] == "<p>Well &lt;b&gt;said&lt;/b&gt;.</p>\n"
    assert [item["body"] for item in Api()("get", comments).json()["results"]] == ["Well <b>said</b>."]
    own = f"/api/blog/comments/{made.json()['id']}/"
    assert api("patch", own, {"body": "Put."}).json()["body"] == "Put."
    assert Api(author)("delete", own).status_code == 403
    assert api("delete", own).status_code == 204
    assert not Comment.objects.exists()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"body": "x"}, "title"),
        ({"title": "x"}, "body"),
        ({"title": "", "body": "x"}, "title"),
        ({"title": "x" * 201, "body": "x"}, "title"),
        ({"title": "x", "body": "x\x00"}, "body"),
        ({"title": "x", "body": "x" * 500_001}, "body"),
        ({"title": ["x"], "body": "x"}, "title"),
        ({"title": "x", "body": "x", "description": "x" * 501}, "description"),
    ],
)
def test_what_is_not_valid_is_named_by_field(author: User, values: dict[str, Any], field: str) -> None:
    response = Api(author)("post", POSTS, values)
    assert response.status_code == 400
    assert set(response.json()["errors"]) == {field}
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


def test_an_old_address_leads_to_the_post(post: Post, draft: Post, author: User) -> None:
    actions.update_post(post, actor=author, slug="seen")
    moved = Api()("get", f"{POSTS}on-being-seen/")
    assert (moved.status_code, moved.headers["Location"]) == (301, "http://testserver/api/blog/posts/seen/")
    assert Api()("patch", f"{POSTS}on-being-seen/", {}).status_code == 401
    actions.update_post(draft, actor=author, slug="hidden")
    assert Api()("get", f"{POSTS}on-drafts/").status_code == 404


def test_a_post_tells_of_its_text_and_where_everybody_finds_it(author: User, settings: Any) -> None:
    settings.PUBLIC_URL = "https://glass.example"
    body = "## One\n\n## Two\n\n### Deep\n\n" + "word " * 660
    post = actions.create_post(actor=author, title="Long", body=body)
    told = Api(author)("get", f"{POSTS}{post.slug}/").json()
    assert told["canonical_url"] == "https://glass.example/blog/long/"
    assert told["outline"]["reading_minutes"] == 3
    assert [one["anchor"] for one in told["outline"]["table_of_contents"]] == ["s-one", "s-two", "s-deep"]


def test_a_status_that_is_none_is_named(post: Post) -> None:
    response = Api()("get", POSTS, {"status": "secret"})
    assert (response.status_code, set(response.json()["errors"])) == (400, {"status"})


def test_a_token_writes_only_with_the_scope(author: User) -> None:
    response = Api(author, "blog:read")("post", POSTS, {"title": "x", "body": "y"})
    assert response.status_code == 403
    assert "blog:write" in response.json()["detail"]
    assert not Post.objects.exists()


def test_rules_hold_for_the_api_as_well(post: Post, reader: User, other_author: User, moderator: User) -> None:
    for user in (reader, other_author):
        assert Api(user)("patch", f"{POSTS}on-being-seen/", {"title": "Mine"}).status_code == 403
        assert Api(user)("delete", f"{POSTS}on-being-seen/").status_code == 403
    assert Api(reader)("post", POSTS, {"title": "x", "body": "y"}).status_code == 403
    assert Api(moderator)("post", f"{POSTS}on-being-seen/unpublish/").status_code == 200
    assert Api(reader)("post", f"{POSTS}on-being-seen/comments/", {"body": "x"}).status_code == 404


def test_the_schema_names_the_addresses(client: Client) -> None:
    schema = client.get("/api/schema/?format=json").json()
    assert {path for path in schema["paths"] if path.startswith("/api/blog/")} == {
        "/api/blog/posts/",
        "/api/blog/posts/{slug}/",
        "/api/blog/posts/{slug}/publish/",
        "/api/blog/posts/{slug}/unpublish/",
        "/api/blog/posts/{slug}/request-review/",
        "/api/blog/posts/{slug}/withdraw-review/",
        "/api/blog/posts/{slug}/approve/",
        "/api/blog/posts/{slug}/send-back/",
        "/api/blog/posts/{slug}/schedule/",
        "/api/blog/posts/{slug}/unschedule/",
        "/api/blog/posts/{slug}/revisions/",
        "/api/blog/posts/{slug}/revisions/{event_id}/",
        "/api/blog/posts/{slug}/revisions/{event_id}/diff/",
        "/api/blog/posts/{slug}/revisions/{event_id}/restore/",
        "/api/blog/posts/{slug}/editing/",
        "/api/blog/posts/{slug}/pending-copy/",
        "/api/blog/pending-copy/",
        "/api/blog/preview/",
        "/api/blog/search/",
        "/api/blog/posts/{slug}/comments/",
        "/api/blog/comments/{id}/",
        "/api/blog/comments/{id}/report/",
        "/api/blog/comments/{id}/decide/",
        "/api/blog/moderation/",
        "/api/blog/reports/",
        "/api/blog/subscriptions/",
        "/api/blog/subscriptions/{id}/",
        "/api/blog/categories/",
        "/api/blog/categories/{slug}/",
        "/api/blog/tags/",
    }
