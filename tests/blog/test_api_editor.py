"""What an editor needs, by the API: previews, copies of what isn't saved yet, and who else is editing."""

from collections.abc import Callable

import pytest
from django.db.models import QuerySet
from django.test import Client

from accounts.models import User
from audit.models import Event
from blog import actions
from blog.models import Image, PendingCopy, Post
from tests.blog.test_api import Api
from tests.blog.test_history import as_user

pytestmark = pytest.mark.django_db
NewEvents = Callable[[str], QuerySet[Event]]
DRAFT, POST, BLOG = "/api/blog/posts/on-drafts/", "/api/blog/posts/on-being-seen/", "/api/blog/"


# --- previews --------------------------------------------------------------------------------------------------------


def test_markdown_is_shown_as_readers_would_see_it_and_nothing_is_stored(author: User) -> None:
    body = "Intro.\n\n## One\n\n## Two *more*\n\n### Deep\n\n<script>x</script>"
    shown = Api(author)("post", f"{BLOG}preview/", {"body": body}).json()
    assert '<h2 id="s-two-more">Two <em>more</em></h2>' in shown["body_html"]
    assert "<script>" not in shown["body_html"]
    assert shown["outline"]["reading_minutes"] == 1
    assert shown["outline"]["table_of_contents"] == [
        {"anchor": "s-one", "text": "One", "is_under": False},
        {"anchor": "s-two-more", "text": "Two more", "is_under": False},
        {"anchor": "s-deep", "text": "Deep", "is_under": True},
    ]
    assert not Post.objects.exists()


def test_a_posts_pictures_are_in_its_preview(post: Post, author: User) -> None:
    Image.objects.create(post=post, file="blog/ab/x.png", name="x.png", width=4, height=2, checksum_sha256="0")
    values = {"body": "![A thing](x.png)", "post": "on-being-seen"}
    assert "/media/blog/ab/x.png" in Api(author)("post", f"{BLOG}preview/", values).json()["body_html"]
    assert "/media/" not in Api(author)("post", f"{BLOG}preview/", {"body": values["body"]}).json()["body_html"]


def test_previews_are_for_writers(
    post: Post, draft: Post, reader: User, other_author: User, new_events: NewEvents
) -> None:
    assert Client().post(f"{BLOG}preview/", {"body": "x"}, content_type="application/json").status_code == 401
    assert Api(reader)("post", f"{BLOG}preview/", {"body": "x"}).status_code == 403
    mine, hidden = {"body": "x", "post": "on-being-seen"}, {"body": "x", "post": "on-drafts"}
    assert Api(other_author)("post", f"{BLOG}preview/", mine).status_code == 403
    assert Api(other_author)("post", f"{BLOG}preview/", hidden).status_code == 404
    assert new_events("blog.access.denied").filter(changes__action="preview_post").count() == 2


@pytest.mark.parametrize("body", ["", "x\x00", "x" * 500_001])
def test_what_can_not_be_shown_is_named(author: User, body: str) -> None:
    response = Api(author)("post", f"{BLOG}preview/", {"body": body})
    assert (response.status_code, set(response.json()["errors"])) == (400, {"body"})


# --- copies ----------------------------------------------------------------------------------------------------------


def test_a_draft_is_saved_while_it_is_typed(draft: Post, author: User) -> None:
    values = {"title": "On drafts", "body": "More.", "tags": ["One", "Two"], "version": draft.version}
    kept = Api(author)("put", f"{DRAFT}pending-copy/", values).json()
    draft.refresh_from_db()
    assert kept == {"is_saved": True, "version": draft.version}
    assert draft.body_markdown == "More."
    assert {tag.name for tag in draft.tags.all()} == {"One", "Two"}
    assert Api(author)("get", f"{DRAFT}pending-copy/").status_code == 404


def test_what_is_public_is_kept_for_its_writer_alone_until_it_is_thrown_away(
    post: Post, author: User, admin_user: User
) -> None:
    api, address = Api(author), f"{POST}pending-copy/"
    values = {"title": "", "body": "Half a sen", "tags": ["One", "Two"]}
    assert api("put", address, values).json() == {"is_saved": False, "version": None}
    copy = api("get", address).json()
    assert (copy["title"], copy["body"], copy["tags"], copy["version"]) == (
        "",
        "Half a sen",
        ["One", "Two"],
        post.version,
    )
    assert Api(admin_user)("get", address).status_code == 404
    assert api("delete", address).status_code == 204
    assert api("get", address).status_code == 404
    post.refresh_from_db()
    assert post.body_markdown == "A **short** post."


def test_what_somebody_else_saved_is_not_typed_over(draft: Post, author: User) -> None:
    client, address, old = as_user(author), f"{DRAFT}pending-copy/", draft.version
    read = client.get(DRAFT).headers["ETag"]
    actions.update_post(draft, actor=author, body="Newer.")
    assert Api(author)("put", address, {"body": "Older.", "version": old}).status_code == 409
    refused = client.put(address, {"body": "Older."}, content_type="application/json", headers={"If-Match": read})
    assert refused.status_code == 412
    assert Post.objects.get().body_markdown == "Newer."
    assert (
        Api(author)("put", address, {"body": "Newest."}).json()["is_saved"] is True
    )  # without a version: the last wins


def test_a_new_post_is_kept_before_it_is_one(author: User, other_author: User, reader: User) -> None:
    api, address = Api(author), f"{BLOG}pending-copy/"
    assert api("get", address).status_code == 404
    assert api("put", address, {"title": "New", "body": ""}).json() == {"is_saved": False, "version": None}
    assert api("get", address).json()["title"] == "New"
    assert Api(other_author)("get", address).status_code == 404
    for method in ("get", "put", "delete"):
        assert Api(reader)(method, address, {}).status_code == 403
    assert api("delete", address).status_code == 204
    assert not PendingCopy.objects.exists()


def test_copies_are_for_those_who_may_change_the_post(
    post: Post, draft: Post, reader: User, other_author: User, new_events: NewEvents
) -> None:
    for method in ("get", "put", "delete"):
        assert Api(reader)(method, f"{POST}pending-copy/", {}).status_code == 403
        assert Api(other_author)(method, f"{DRAFT}pending-copy/", {}).status_code == 404
        assert getattr(Client(), method)(f"{POST}pending-copy/").status_code == 401
    assert new_events("blog.access.denied").filter(changes__action="autosave").count() == 3
    assert Api(reader, "blog:read")("put", f"{POST}pending-copy/", {}).status_code == 403


# --- who else --------------------------------------------------------------------------------------------------------


def test_who_edits_is_told_of_the_others(draft: Post, author: User, admin_user: User) -> None:
    mine, theirs, address = Api(author), Api(admin_user), f"{DRAFT}editing/"
    assert mine("put", address, {}).json() == {"others": [], "version": draft.version}
    assert theirs("get", address).json()["others"] == [{"username": "anna", "name": "Anna"}]
    assert mine("get", address).json()["others"] == []  # to look is not to edit
    theirs("put", address, {})
    assert mine("put", address, {}).json()["others"] == [{"username": "ada", "name": "Ada"}]
    assert theirs("delete", address).status_code == 204
    assert mine("get", address).json()["others"] == []


def test_who_does_not_edit_is_told_nothing(
    post: Post, draft: Post, reader: User, other_author: User, new_events: NewEvents
) -> None:
    for method in ("get", "put", "delete"):
        assert Api(reader)(method, f"{POST}editing/", {}).status_code == 403
        assert Api(other_author)(method, f"{DRAFT}editing/", {}).status_code == 404
    assert new_events("blog.access.denied").count() == 3
