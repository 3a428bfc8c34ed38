"""The ledger's own restore brings posts and comments back with all that is made of their text."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from audit.errors import RestoreError
from audit.history import restoring
from blog import actions
from blog.models import Category, Comment, Post

pytestmark = pytest.mark.django_db


def restored(row: Any, pk: int, at: datetime) -> restoring.Plan:
    plan = restoring.plan(row._meta.label_lower, str(pk), at)
    restoring.apply(plan, "a test")
    return plan


def test_a_restored_post_shows_the_text_that_it_has_again(post: Post, author: User) -> None:
    at = datetime.now(UTC)
    actions.update_post(post, actor=author, title="Other", body="Other *words*.")
    plan = restored(post, post.pk, at)
    post.refresh_from_db()
    assert (post.title, post.body_markdown) == ("On being seen", "A **short** post.")
    assert post.body_html == "<p>A <strong>short</strong> post.</p>\n"
    assert post.excerpt == "A short post."
    assert plan.skipped["body_html"] == "It's made anew of the other fields."
    page = Client().get("/blog/on-being-seen/").content.decode()
    assert "<strong>short</strong>" in page
    assert Client().get("/api/blog/posts/", {"q": "short"}).json()["results"]
    assert not Client().get("/api/blog/posts/", {"q": "words"}).json()["results"]


def test_a_restored_post_is_a_version_of_its_own(post: Post, author: User) -> None:
    before, at = post.version, datetime.now(UTC)
    changed = actions.update_post(post, actor=author, body="Other.")
    restored(post, post.pk, at)
    post.refresh_from_db()
    assert post.version not in (before, changed.version)
    assert post.updated_at > changed.updated_at  # who has the other one must not be told that nothing changed


def test_a_deleted_post_comes_back_whole(post: Post, author: User) -> None:
    pk, at = post.pk, datetime.now(UTC)
    actions.delete_post(post, actor=author)
    assert restored(Post, pk, at).action == "create"
    assert "<strong>short</strong>" in Client().get("/blog/on-being-seen/").content.decode()


def test_a_post_whose_category_alone_changed_keeps_its_text(post: Post, author: User) -> None:
    Category.objects.create(name="Design", slug="design")
    at = datetime.now(UTC)
    actions.update_post(post, actor=author, category="design")
    restored(post, post.pk, at)
    post.refresh_from_db()
    assert (post.category, post.excerpt) == (None, "A short post.")


def test_a_comment_comes_back_with_its_words(post: Post, reader: User) -> None:
    comment = actions.add_comment(post, author=reader, body="Well *said*.")
    pk, at = comment.pk, datetime.now(UTC)
    actions.edit_comment(comment, actor=reader, body="Nonsense.")
    restored(comment, pk, at)
    assert Comment.objects.get().body_html == "<p>Well <em>said</em>.</p>\n"
    actions.delete_comment(Comment.objects.get(), actor=reader)
    assert restored(Comment, pk, at).action == "create"
    assert Comment.objects.get().body_html == "<p>Well <em>said</em>.</p>\n"


def test_a_text_that_is_not_accepted_any_more_is_refused_by_its_field(
    post: Post, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime.now(UTC)
    actions.update_post(post, actor=author, body="Tiny.")
    monkeypatch.setattr("blog.limits.BODY_BYTES", 10)
    with pytest.raises(RestoreError) as refused:
        restored(post, post.pk, at)
    assert "at most 10 are accepted" in refused.value.problems["body_markdown"][0]
    post.refresh_from_db()
    assert post.body_html == "<p>Tiny.</p>\n"
