"""What actions do, and what they leave alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from audit.models import Event
from blog import actions
from blog.errors import BlogError, InvalidError, NotAllowedError
from blog.models import Comment, Image, Post, Status
from tasks.models import TaskRun
from tests.blog.conftest import picture

pytestmark = pytest.mark.django_db
NewEvents = Callable[[str], QuerySet[Event]]


def test_a_new_post_is_a_draft_with_all_that_is_derived(author: User, new_events: NewEvents) -> None:
    post = actions.create_post(actor=author, title="  Hello \n you ", body="A *first*.\r\n\r\nSecond.", description="D")
    post.refresh_from_db()
    assert (post.title, post.slug, post.status, post.published_at) == ("Hello you", "hello-you", Status.DRAFT, None)
    assert post.body_markdown == "A *first*.\n\nSecond."
    assert post.body_html.startswith("<p>A <em>first</em>.</p>")
    assert post.excerpt == "A first."
    changes = new_events("blog.post.created").get().differences
    assert changes["title"] == [None, "Hello you"]
    assert "body_html" not in changes
    assert "excerpt" not in changes


def test_titles_that_are_alike_get_slugs_of_their_own(author: User) -> None:
    slugs = [
        actions.create_post(actor=author, title=title, body="x").slug for title in ("New", "New", "日本", "Rust 1.1")
    ]
    assert slugs == ["new-2", "new-3", "post", "rust-1-1"]


def test_a_slug_taken_in_between_is_tried_again(author: User, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    given = iter([post.slug, "another"])
    monkeypatch.setattr(actions.posts, "free_slug", lambda *args, **kwargs: next(given))
    assert actions.create_post(actor=author, title="Same", body="x").slug == "another"


def test_an_update_writes_what_differs_and_nothing_else(author: User, post: Post, new_events: NewEvents) -> None:
    actions.update_post(post, actor=author, title=post.title, body=post.body_markdown + "\n", description="")
    assert not new_events("blog.post.updated").exclude(changes__has_key="status").exists()
    changed = actions.update_post(post, actor=author, body="Other **words**.")
    assert "<strong>words</strong>" in changed.body_html
    event = new_events("blog.post.updated").last()
    assert event is not None
    assert set(event.differences) == {"body_markdown", "updated_at"}
    assert event.differences["body_markdown"] == ["A **short** post.", "Other **words**."]


def test_publishing_and_unpublishing_set_the_date_and_take_it_back(author: User, draft: Post) -> None:
    published = actions.publish_post(draft, actor=author)
    assert published.is_published
    assert published.published_at is not None
    again = actions.publish_post(published, actor=author)
    assert again.published_at == published.published_at
    back = actions.unpublish_post(again, actor=author)
    assert (back.status, back.published_at) == (Status.DRAFT, None)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\x00b"}, "title"),
        ({"body": ""}, "body"),
        ({"body": "x" * 500_001}, "body"),
        ({"description": "x" * 501}, "description"),
    ],
)
def test_values_that_are_not_acceptable_are_named(author: User, values: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        actions.create_post(actor=author, **{"title": "T", "body": "B", **values})
    assert set(caught.value.messages) == {field}
    assert isinstance(caught.value, BlogError)
    assert not Post.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "secret"},
        {"status": Status.PUBLISHED, "published_at": None},
        {"status": Status.DRAFT, "published_at": timezone.now()},
        {"title": ""},
    ],
)
def test_the_database_holds_the_rules_too(draft: Post, wrong: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Post.objects.filter(pk=draft.pk).update(**wrong)


def test_a_comment_notifies_all_authors_but_its_own(
    post: Post, reader: User, author: User, other_author: User, django_capture_on_commit_callbacks: Any
) -> None:
    post.coauthors.add(other_author)
    comment = actions.add_comment(post, author=reader, body="Well **said**.")
    assert comment.body_html == "<p>Well <strong>said</strong>.</p>\n"
    runs = list(TaskRun.objects.filter(name="notifications.notify_user"))
    assert {run.arguments["kwargs"]["recipient_id"] for run in runs} == {author.pk, other_author.pk}
    told = runs[0].arguments["kwargs"]
    assert told["title"] == "Rob commented on “On being seen”"
    assert told["url"] == f"/blog/comments/{comment.pk}/"
    actions.add_comment(post, author=author, body="Thanks.")
    assert TaskRun.objects.filter(arguments__kwargs__recipient_id=author.pk).count() == 1


def test_a_comment_on_a_post_unpublished_meanwhile_is_refused(post: Post, author: User, reader: User) -> None:
    stale = Post.objects.get(pk=post.pk)
    actions.unpublish_post(post, actor=author)
    assert stale.is_published  # as the reader's page has it
    with pytest.raises(NotAllowedError):
        actions.add_comment(stale, author=reader, body="Too late.")
    assert not Comment.objects.exists()


def test_an_edited_comment_says_so(post: Post, reader: User) -> None:
    comment = actions.add_comment(post, author=reader, body="Frist.")
    assert not actions.edit_comment(comment, actor=reader, body="Frist.").is_edited
    edited = actions.edit_comment(comment, actor=reader, body="First.")
    assert edited.is_edited
    assert edited.body_html == "<p>First.</p>\n"


def test_a_comment_of_ten_kilobytes_is_the_most(post: Post, reader: User) -> None:
    actions.add_comment(post, author=reader, body="x" * 10_000)
    with pytest.raises(InvalidError):
        actions.add_comment(post, author=reader, body="x" * 10_001)


def test_deleting_a_post_takes_comments_images_and_files(
    post: Post, author: User, reader: User, media: Path, new_events: NewEvents, django_capture_on_commit_callbacks: Any
) -> None:
    actions.add_comment(post, author=reader, body="Gone soon.")
    image = Image(post=post, name="a.png", width=40, height=20, checksum_sha256="0" * 64)
    image.file.save("a.png", ContentFile(picture()))
    assert len([file for file in media.rglob("*") if file.is_file()]) == 1
    with django_capture_on_commit_callbacks(execute=True):
        actions.delete_post(post, actor=author)
    assert not Comment.objects.exists()
    assert not [file for file in media.rglob("*") if file.is_file()]
    assert new_events("blog.comment.deleted").get().differences["body_markdown"][0] == "Gone soon."


def test_a_deletion_that_is_undone_keeps_the_files(post: Post, author: User, media: Path) -> None:
    image = Image(post=post, name="a.png", width=40, height=20, checksum_sha256="0" * 64)
    image.file.save("a.png", ContentFile(picture()))
    with transaction.atomic():
        actions.delete_post(post, actor=author)
        transaction.set_rollback(True)
    assert [file for file in media.rglob("*") if file.is_file()]
    assert Image.objects.exists()


def test_a_post_keeps_its_images_when_its_text_is_edited(post: Post, author: User) -> None:
    image = Image(post=post, name="chart.png", width=40, height=20, checksum_sha256="0" * 64)
    image.file.save("a.png", ContentFile(picture()))
    changed = actions.update_post(post, actor=author, body="![A chart](chart.png)")
    assert f'<img src="{image.file.url}" alt="A chart" width="40" height="20"' in changed.body_html
    assert changed.body_markdown == "![A chart](chart.png)"
