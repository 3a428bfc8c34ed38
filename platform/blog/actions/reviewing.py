"""A second pair of eyes: an author asks, another approves or sends back. While it's read, the text may still change;
what is approved is the version that was read."""

from datetime import datetime

from django.db import transaction

from accounts.models import User
from blog import limits, queries, rules
from blog.actions.posts import locked_post, release
from blog.actions.scheduling import plan_release
from blog.errors import InvalidError
from blog.markdown import require_size
from blog.models import Post, Status
from notifications.actions import request_notification


def request_review(post: Post, *, actor: User, version: str | None = None) -> Post:
    """Ask for a draft to be read and published; who may do that is told.

    Raises:
        ConflictError: `version` is given, and the post is another one by now.
        InvalidError: on `status`, where it's no draft.
    """
    rules.require(rules.can_edit_post, actor, post, action="request_review")
    with transaction.atomic():
        post = locked_post(post, version)
        if post.is_in_review:
            return post
        if post.status != Status.DRAFT:
            raise InvalidError(status=f"This post is {post.status}; only a draft can be reviewed.")
        post.status, post.review_note = Status.REVIEW, ""
        post.save(update_fields=["status", "review_note"])
        for reviewer in queries.reviewers_of(post):
            request_notification(
                reviewer,
                kind="review",
                actor=actor,
                title=f"{actor.name} asks for a review of “{post.title}”",
                url=post.get_absolute_url(),
            )
    return post


def withdraw_review(post: Post, *, actor: User, version: str | None = None) -> Post:
    """Take a post that waits for its review back to a draft; others stay as they are.

    Raises:
        ConflictError: `version` is given, and the post is another one by now.
    """
    rules.require(rules.can_edit_post, actor, post, action="withdraw_review")
    with transaction.atomic():
        post = locked_post(post, version)
        if post.is_in_review:
            post.status = Status.DRAFT
            post.save(update_fields=["status"])
    return post


def approve_post(post: Post, *, actor: User, version: str, publish_at: datetime | None = None) -> Post:
    """Publish the `version` that was read, or have it published at a time to come, by the reviewer.

    Raises:
        ConflictError: the text was changed since it was read.
        InvalidError: on `publish_at`, where no post can be scheduled for it.
    """
    rules.require(rules.can_review_post, actor, post, action="approve_post")
    with transaction.atomic():
        post = locked_post(post, version)
        rules.require(rules.can_review_post, actor, post, action="approve_post")
        if publish_at is None:
            release(post)
            said = f"{actor.name} approved “{post.title}”: it's published"
        else:
            plan_release(post, actor, publish_at)
            said = f"{actor.name} approved “{post.title}” for {publish_at:%Y-%m-%d %H:%M} UTC"
        _tell_authors(post, actor, said)
    return post


def send_back_post(post: Post, *, actor: User, note: str, version: str | None = None) -> Post:
    """Give a post back to its authors, with what is to be done about it.

    Raises:
        ConflictError: `version` is given, and the post is another one by now.
        InvalidError: on `note`, where it's empty or too long.
    """
    rules.require(rules.can_review_post, actor, post, action="send_back_post")
    note = note.strip()
    require_size(note, 4 * limits.NOTE_CHARACTERS, field="note")
    if len(note) > limits.NOTE_CHARACTERS:
        raise InvalidError(note=f"This has {len(note)} characters; at most {limits.NOTE_CHARACTERS} are accepted.")
    with transaction.atomic():
        post = locked_post(post, version)
        rules.require(rules.can_review_post, actor, post, action="send_back_post")
        post.status, post.review_note = Status.DRAFT, note
        post.save(update_fields=["status", "review_note"])
        _tell_authors(post, actor, f"{actor.name} sent “{post.title}” back", note)
    return post


def _tell_authors(post: Post, actor: User, title: str, body: str = "") -> None:
    for author in [post.author, *post.coauthors.all()]:
        request_notification(
            author, kind="review", actor=actor, title=title, url=post.get_absolute_url(), body=body[:500]
        )
