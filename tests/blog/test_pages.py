"""The pages, as people with and without an account use them. None of it needs JavaScript."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from blog import actions, limits
from blog.models import Comment, Post, Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_user() -> Callable[[User], Client]:
    def log_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return log_in


AsUser = Callable[[User], Client]


def fill(author: User, count: int) -> None:
    now = timezone.now()
    Post.objects.bulk_create(
        Post(
            author=author,
            title=f"Post {number}",
            slug=f"post-{number}",
            body_markdown="x",
            body_html="<p>x</p>",
            excerpt="x",
            status=Status.PUBLISHED,
            published_at=now - timedelta(days=number),
        )
        for number in range(count)
    )


def test_the_front_page_shows_what_is_new_and_no_drafts(client: Client, post: Post, draft: Post) -> None:
    page = client.get("/").content.decode()
    assert "On being seen" in page
    assert "A short post." in page
    assert "On drafts" not in page


def test_every_page_names_its_request(client: Client, post: Post) -> None:
    for path in ("/", "/blog/", "/blog/on-being-seen/", "/nothing/"):
        response = client.get(path)
        assert response.headers["X-Request-ID"] in response.content.decode()


def test_pages_hold_no_inline_script_or_style(client: Client, post: Post, as_user: AsUser, author: User) -> None:
    for visitor in (client, as_user(author)):
        for path in ("/", "/blog/", "/blog/on-being-seen/", "/accounts/login/", "/nothing/"):
            page = visitor.get(path).content.decode()
            assert not re.search(r"<script(?![^>]*\bsrc=)", page)
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page)


def test_the_archive_has_pages(client: Client, author: User) -> None:
    fill(author, limits.POSTS_PER_PAGE + 5)
    first = client.get("/blog/").content.decode()
    assert "Post 0<" in first
    assert "Post 20<" not in first
    second = client.get("/blog/?page=2").content.decode()
    assert "Post 24<" in second
    for odd in ("0", "-1", "999", "x", "1e9"):
        assert client.get(f"/blog/?page={odd}").status_code == 200


def test_lists_ask_the_database_as_often_for_many_posts_as_for_few(client: Client, author: User) -> None:
    client.get("/blog/")  # what is loaded once
    counts = []
    for amount in (2, 15):
        Post.objects.all().delete()
        fill(author, amount)
        with CaptureQueriesContext(connection) as queries:
            client.get("/blog/")
        # Each process looks at the maintenance once a second, for no reader's sake.
        counts.append(sum("ops_maintenance" not in query["sql"] for query in queries))
        assert not any("body_html" in query["sql"] for query in queries)
    assert counts[0] == counts[1] <= 5


def test_a_post_page_asks_as_often_for_many_comments_as_for_few(as_user: AsUser, post: Post, reader: User) -> None:
    visitor = as_user(reader)
    counts = []
    for amount in (1, 10):
        for number in range(amount):
            actions.add_comment(post, author=reader, body=f"{number}")
        visitor.get("/blog/on-being-seen/")
        with CaptureQueriesContext(connection) as queries:
            visitor.get("/blog/on-being-seen/")
        counts.append(sum("ops_maintenance" not in query["sql"] for query in queries))
    assert counts[0] == counts[1]


def test_a_draft_is_404_to_those_who_may_not_see_it(client: Client, draft: Post, as_user: AsUser, reader: User) -> None:
    for visitor in (client, as_user(reader)):
        assert visitor.get("/blog/on-drafts/").status_code == 404
    assert as_user(reader).get("/blog/on-drafts/edit/").status_code == 404
    assert as_user(draft.author).get("/blog/on-drafts/").status_code == 200


def test_strangers_are_sent_to_the_login_and_back(client: Client, post: Post) -> None:
    page = client.get("/blog/on-being-seen/").content.decode()
    assert "/accounts/login/?next=/blog/on-being-seen/" in page
    assert "<textarea" not in page
    response = client.post("/blog/on-being-seen/comment/", {"body": "Hi"})
    assert (response.status_code, Comment.objects.count()) == (302, 0)
    assert response.headers["Location"].startswith("/accounts/login/?next=")


def test_a_post_is_written_published_changed_and_deleted(as_user: AsUser, author: User) -> None:
    visitor = as_user(author)
    response = visitor.post("/blog/new/", {"title": "A day", "description": "", "body": "It *was*."})
    assert response.headers["Location"] == "/blog/a-day/"
    assert Post.objects.get().status == Status.DRAFT
    assert "A day" in visitor.get("/blog/drafts/").content.decode()
    visitor.post("/blog/a-day/publish/")
    assert Post.objects.get().is_published
    visitor.post("/blog/a-day/edit/", {"title": "A night", "description": "Dark.", "body": "It *was*."})
    assert Post.objects.get().title == "A night"
    visitor.post("/blog/a-day/unpublish/")
    assert not Post.objects.get().is_published
    assert "Delete “A night”?" in visitor.get("/blog/a-day/delete/").content.decode()
    assert visitor.post("/blog/a-day/delete/").headers["Location"] == "/blog/"
    assert not Post.objects.exists()


def test_a_post_can_be_published_as_it_is_written(as_user: AsUser, author: User) -> None:
    as_user(author).post("/blog/new/", {"title": "Now", "body": "x", "publish": "1"})
    assert Post.objects.get().is_published


def test_what_was_typed_survives_an_error(as_user: AsUser, author: User) -> None:
    response = as_user(author).post("/blog/new/", {"title": "", "body": "Hours of <work> & more"})
    page = response.content.decode()
    assert response.status_code == 400
    assert "Hours of &lt;work&gt; &amp; more" in page
    assert 'aria-invalid="true"' in page
    assert "This field is required." in page


def test_a_text_that_only_the_action_refuses_is_explained_at_its_field(as_user: AsUser, author: User) -> None:
    response = as_user(author).post("/blog/new/", {"title": "T", "body": "<div>" * 1_000})
    assert response.status_code == 400
    assert "nested more than 200 deep" in response.content.decode()


def test_others_posts_are_403_and_say_so_with_the_request_id(as_user: AsUser, other_author: User, post: Post) -> None:
    visitor = as_user(other_author)
    for path in ("edit/", "delete/"):
        response = visitor.get(f"/blog/on-being-seen/{path}")
        assert response.status_code == 403
        assert response.headers["X-Request-ID"] in response.content.decode()
    assert visitor.post("/blog/on-being-seen/unpublish/").status_code == 403
    assert Post.objects.get().is_published


def test_a_moderator_unpublishes_what_they_then_cannot_see(as_user: AsUser, moderator: User, post: Post) -> None:
    response = as_user(moderator).post("/blog/on-being-seen/unpublish/", follow=True)
    assert response.status_code == 200
    assert "is a draft again" in response.content.decode()
    assert not Post.objects.get().is_published


def test_a_comment_is_added_edited_and_deleted(as_user: AsUser, reader: User, post: Post) -> None:
    visitor = as_user(reader)
    response = visitor.post("/blog/on-being-seen/comment/", {"body": "Well **said**."}, follow=True)
    comment = Comment.objects.get()
    assert response.redirect_chain[-1][0] == f"/blog/on-being-seen/#comment-{comment.pk}"
    assert "Well <strong>said</strong>." in response.content.decode()
    visitor.post(f"/blog/comments/{comment.pk}/edit/", {"body": "Well put."})
    assert "· edited" in visitor.get("/blog/on-being-seen/").content.decode()
    visitor.post(f"/blog/comments/{comment.pk}/delete/")
    assert not Comment.objects.exists()


def test_a_comment_too_long_stays_in_the_form(as_user: AsUser, reader: User, post: Post) -> None:
    response = as_user(reader).post("/blog/on-being-seen/comment/", {"body": "ä" * 6_000})
    assert response.status_code == 400
    assert "12,000 bytes long" in response.content.decode()
    assert "ä" * 6_000 in response.content.decode()


def test_links_to_comments_lead_to_the_page_where_they_stand(as_user: AsUser, reader: User, post: Post) -> None:
    Comment.objects.bulk_create(
        Comment(post=post, author=reader, body_markdown=f"{number}", body_html=f"<p>{number}</p>")
        for number in range(limits.COMMENTS_PER_PAGE + 1)
    )
    last = Comment.objects.latest("id")
    response = as_user(reader).get(last.get_absolute_url())
    assert response.headers["Location"] == f"/blog/on-being-seen/?page=2#comment-{last.pk}"


def test_comments_on_drafts_do_not_leak(client: Client, post: Post, reader: User, author: User) -> None:
    comment = actions.add_comment(post, author=reader, body="Secret now.")
    actions.unpublish_post(post, actor=author)
    assert client.get(comment.get_absolute_url()).status_code == 404


@pytest.mark.parametrize("path", ["publish", "unpublish", "comment"])
def test_what_changes_something_takes_a_post_with_a_token(path: str, post: Post, author: User) -> None:
    visitor = Client(enforce_csrf_checks=True)
    visitor.force_login(author)
    assert visitor.get(f"/blog/on-being-seen/{path}/").status_code == 405
    assert visitor.post(f"/blog/on-being-seen/{path}/", {"body": "x"}).status_code == 403


def test_the_error_pages_need_no_database(django_db_blocker: Any, rf: Any) -> None:
    from django.template import loader

    for status in (400, 403, 404, 500, 503):
        page = loader.render_to_string(f"{status}.html", {"request_id": "0123456789abcdef"})
        assert "0123456789abcdef" in page
        assert f">{status}<" in page


def test_titles_are_text(client: Client, author: User) -> None:
    post = actions.create_post(actor=author, title="<script>alert(1)</script>", body="x", description="</p><b>")
    actions.publish_post(post, actor=author)
    for path in ("/", "/blog/", post.get_absolute_url()):
        page = client.get(path).content.decode()
        assert "<script>alert" not in page
        assert "</p><b>" not in page
