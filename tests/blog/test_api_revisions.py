"""A post's history by the API: out of the ledger, for those who make the post, with the way back."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client

from accounts.models import User
from audit.models import Event
from blog import actions, revisions
from blog.models import Category, Post
from tests.blog.test_api import Api
from tests.blog.test_history import as_user, by

pytestmark = pytest.mark.django_db
NewEvents = Callable[[str], QuerySet[Event]]
POST = "/api/blog/posts/on-being-seen/"
LIST = f"{POST}revisions/"


def send(client: Client, path: str, **headers: str) -> Any:
    return client.post(path, {}, content_type="application/json", headers=headers)


@pytest.fixture
def changed(post: Post, author: User) -> tuple[Post, int]:
    """Give a post that was changed in all it says, and the id of the revision before that."""
    Category.objects.create(name="Design", slug="design")
    with by(author):
        post = actions.update_post(post, actor=author, category="design", tags=["One", "Two"])
        revision = revisions.revisions_of(post)[0][0]
        post = actions.update_post(
            post, actor=author, title="Other", body="A **long** post.", category="", tags=["Two", "Three"]
        )
    return post, revision.id


def test_each_change_is_listed_with_what_differs(changed: tuple[Post, int], author: User) -> None:
    page = Api(author)("get", LIST).json()
    assert page["next"] is None
    *tags, text = page["results"][:3]  # the ledger has what went and what came as an event each
    first = page["results"][-1]
    assert (text["who"], text["is_first"], text["is_of_text"], first["is_first"]) == ("anna", False, True, True)
    shown = {change["field"]: change for change in text["changes"]}
    assert shown.keys() == {"title", "body", "category"}
    assert (shown["title"]["kind"], shown["title"]["before"]) == ("value", "On being seen")
    assert (shown["category"]["before"], shown["category"]["after"]) == ("Design", None)
    members = [change for one in tags for change in one["changes"]]
    assert {(change["field"], change["kind"]) for change in members} == {("tags", "members")}
    assert [name for change in members for name in change["removed"]] == ["One"]
    assert [name for change in members for name in change["added"]] == ["Three"]


def test_a_long_history_has_pages(post: Post, author: User) -> None:
    for number in range(4):
        actions.update_post(post, actor=author, body=f"Text {number}.")
    api, seen, address = Api(author), [], f"{LIST}?limit=2"
    while address:
        page = api("get", address).json()
        assert len(page["results"]) <= 2
        seen += [one["id"] for one in page["results"]]
        address = page["next"]
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == len(api("get", LIST).json()["results"]) == 6


def test_a_long_history_takes_as_many_queries_as_a_short_one(
    changed: tuple[Post, int], author: User, django_assert_max_num_queries: Any
) -> None:
    post, _ = changed
    client, counts = as_user(author), []
    for _number in range(2):
        client.get(LIST)
        with django_assert_max_num_queries(50) as taken:
            client.get(LIST)
        counts.append(len(taken))
        for number in range(5):
            post = actions.update_post(post, actor=author, body=f"Text {number}.", tags=["One", f"No {number}"])
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("query", "field"), [({"cursor": "nonsense"}, "cursor"), ({"limit": "0"}, "limit")])
def test_what_no_page_has_is_named(post: Post, author: User, query: dict[str, str], field: str) -> None:
    response = Api(author)("get", LIST, query)
    assert (response.status_code, set(response.json()["errors"])) == (400, {field})


def test_a_revision_says_what_the_post_said_then(changed: tuple[Post, int], author: User) -> None:
    _, event_id = changed
    was = Api(author)("get", f"{LIST}{event_id}/").json()
    assert was["id"] == event_id
    assert (was["title"], was["body"], was["category"]) == ("On being seen", "A **short** post.", "design")
    assert (was["tags"], was["slug"], was["status"]) == (["One", "Two"], "on-being-seen", "published")
    assert was["body_html"] == "<p>A <strong>short</strong> post.</p>\n"


def test_a_revision_is_compared_with_the_post_as_it_is(changed: tuple[Post, int], author: User) -> None:
    _, event_id = changed
    found = Api(author)("get", f"{LIST}{event_id}/diff/").json()
    assert (found["before"]["id"], found["after"]["id"]) == (event_id, None)
    shown = {change["field"]: change for change in found["changes"]}
    assert shown.keys() == {"title", "body", "category", "tags"}
    assert (shown["title"]["before"], shown["title"]["after"]) == ("On being seen", "Other")
    assert (shown["tags"]["removed"], shown["tags"]["added"]) == (["One"], ["Three"])
    lines = found["unified"].splitlines()
    assert lines[0].startswith(f"--- revision {event_id}\t")
    assert lines[1].startswith("+++ now\t")
    assert "-A **short** post." in lines
    assert "+A **long** post." in lines


def test_two_revisions_are_compared_either_way(changed: tuple[Post, int], author: User) -> None:
    post, event_id = changed
    newest = revisions.revisions_of(post)[0][0].id
    actions.update_post(post, actor=author, body="Something else.")
    forth, back = (
        Api(author)("get", f"{LIST}{one}/diff/", {"to": other}).json()
        for one, other in ((event_id, newest), (newest, event_id))
    )
    assert "+A **long** post." in forth["unified"].splitlines()
    assert "-A **long** post." in back["unified"].splitlines()
    same = Api(author)("get", f"{LIST}{newest}/diff/", {"to": newest}).json()
    assert (same["changes"], same["unified"]) == ([], "")


def test_a_long_text_is_told_in_pieces_and_by_lines(post: Post, author: User) -> None:
    lines = [f"Line {number} of a longer text." for number in range(30)]
    post = actions.update_post(post, actor=author, body="\n".join(lines))
    event_id = revisions.revisions_of(post)[0][0].id
    lines[15] = "Line 15 of another text."
    actions.update_post(post, actor=author, body="\n".join(lines))
    found = Api(author)("get", f"{LIST}{event_id}/diff/").json()
    (change,) = found["changes"]
    assert change["kind"] == "text"
    assert {piece["mark"] for piece in change["pieces"]} == {"same", "old", "new", "skip"}
    assert found["unified"].count("\n") < 15
    assert "+Line 15 of another text." in found["unified"].splitlines()


@pytest.mark.parametrize(("to", "status"), [("x", 400), ("-1", 400), ("9" * 30, 400), ("9" * 19, 404), ("1", 404)])
def test_what_is_no_revision_is_not_compared(post: Post, author: User, to: str, status: int) -> None:
    event_id = revisions.revisions_of(post)[0][-1].id
    assert Api(author)("get", f"{LIST}{event_id}/diff/", {"to": to}).status_code == status


def test_a_post_is_restored_with_the_reason(changed: tuple[Post, int], author: User, new_events: NewEvents) -> None:
    post, event_id = changed
    response = Api(author)("post", f"{LIST}{event_id}/restore/", {"reason": "Defaced, see ticket 123."})
    assert response.status_code == 200
    assert (response.json()["title"], response.json()["category"]) == ("On being seen", "design")
    assert sorted(response.json()["tags"]) == ["One", "Two"]
    assert response.headers["ETag"] == Api(author)("get", POST).headers["ETag"]
    post.refresh_from_db()
    assert "<strong>short</strong>" in post.body_html
    event = new_events("blog.post.updated").filter(changes__has_key="title").last()
    assert event is not None
    assert event.context["reason"] == f"restored from event {event_id}: Defaced, see ticket 123."
    newest = Api(author)("get", LIST).json()["results"][0]
    assert newest["reason"].startswith(f"restored from event {event_id}")


def test_the_header_says_why_as_well(changed: tuple[Post, int], author: User, new_events: NewEvents) -> None:
    _, event_id = changed
    client = as_user(author)
    send(client, f"{LIST}{event_id}/restore/", **{"X-Audit-Reason": "CHANGE-7"})
    event = new_events("blog.post.updated").last()
    assert event is not None
    assert event.context["reason"] == f"restored from event {event_id}: CHANGE-7"


def test_a_restore_over_somebodys_change_is_refused(changed: tuple[Post, int], author: User) -> None:
    post, event_id = changed
    client, address = as_user(author), f"{LIST}{event_id}/restore/"
    read = client.get(POST).headers["ETag"]
    actions.update_post(post, actor=author, body="Newer.")
    refused = send(client, address, **{"If-Match": read})
    assert (refused.status_code, refused.headers["Content-Type"]) == (412, "application/problem+json")
    assert Post.objects.get().body_markdown == "Newer."
    now = client.get(POST).headers["ETag"]
    assert send(client, address, **{"If-Match": now}).status_code == 200


def test_what_would_not_be_accepted_any_more_is_named(
    changed: tuple[Post, int], author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, event_id = changed
    monkeypatch.setattr("blog.limits.TITLE_CHARACTERS", 10)
    response = Api(author)("post", f"{LIST}{event_id}/restore/", {})
    assert (response.status_code, set(response.json()["errors"])) == (400, {"title"})
    long = Api(author)("post", f"{LIST}{event_id}/restore/", {"reason": "x" * 401})
    assert (long.status_code, set(long.json()["errors"])) == (400, {"reason"})


def test_history_is_for_those_who_make_the_post(
    post: Post, reader: User, other_author: User, moderator: User, admin_user: User, new_events: NewEvents
) -> None:
    event_id = revisions.revisions_of(post)[0][-1].id
    paths = ("", f"{event_id}/", f"{event_id}/diff/")
    for user in (reader, other_author, moderator):
        for path in paths:
            assert Api(user)("get", f"{LIST}{path}").status_code == 403
        assert Api(user)("post", f"{LIST}{event_id}/restore/", {}).status_code == 403
    denied = new_events("blog.access.denied").filter(outcome="denied", object_id=str(post.pk))
    assert denied.filter(changes__action="see_history").count() == 9
    assert denied.filter(changes__action="restore_revision").count() == 3
    for path in paths:
        assert Client().get(f"{LIST}{path}").status_code == 401
        assert Api(admin_user)("get", f"{LIST}{path}").status_code == 200
    assert Client().post(f"{LIST}{event_id}/restore/").status_code == 401


def test_anothers_draft_and_another_posts_events_are_not_there(
    post: Post, draft: Post, author: User, other_author: User
) -> None:
    hidden = revisions.revisions_of(draft)[0][0].id
    drafts = "/api/blog/posts/on-drafts/revisions/"
    for path in ("", f"{hidden}/", f"{hidden}/diff/"):
        assert Api(other_author)("get", f"{drafts}{path}").status_code == 404
    assert Api(other_author)("post", f"{drafts}{hidden}/restore/", {}).status_code == 404
    for event_id in (hidden, 999_999_999, 2**63):
        for path in ("", "diff/"):
            assert Api(author)("get", f"{LIST}{event_id}/{path}").status_code == 404
        assert Api(author)("post", f"{LIST}{event_id}/restore/", {}).status_code == 404


def test_a_token_needs_its_scope(changed: tuple[Post, int], author: User) -> None:
    _, event_id = changed
    assert Api(author, "chat:read")("get", LIST).status_code == 403
    reading = Api(author, "blog:read")
    assert reading("get", f"{LIST}{event_id}/diff/").status_code == 200
    assert reading("post", f"{LIST}{event_id}/restore/", {}).status_code == 403
    assert Post.objects.get().title == "Other"


def test_the_schema_tells_of_it_with_an_example(client: Client) -> None:
    paths = client.get("/api/schema/?format=json").json()["paths"]
    diff: Any = paths["/api/blog/posts/{slug}/revisions/{event_id}/diff/"]["get"]["responses"]["200"]
    assert "unified" in str(diff["content"]["application/json"]["examples"])
    assert "is_autosave" in str(paths["/api/blog/posts/{slug}/revisions/"]["get"]["responses"]["200"]["content"])
    restore: Any = paths["/api/blog/posts/{slug}/revisions/{event_id}/restore/"]["post"]
    assert "412" in restore["responses"]
    assert "If-Match" in {parameter["name"] for parameter in restore["parameters"]}
    assert "ticket 123" in str(restore["requestBody"])
