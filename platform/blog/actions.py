"""All that changes the blog. Each action checks `blog.rules`, is atomic, and takes effect outside on commit.

Each raises `NotAllowedError` where the rules forbid it, and `InvalidError` where values are not acceptable.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from blog import limits, rules
from blog.errors import InvalidError
from blog.markdown import excerpt_of, render_comment, render_post, require_size
from blog.models import Comment, Post, Status
from blog.queries import pictures_of
from blog.slugs import free_slug
from notifications.actions import request_notification
from telemetry.logs import get_logger

log = get_logger(__name__)

_ATTEMPTS_AT_A_SLUG = 5


def create_post(*, actor: User, title: str, body: str, description: str = "") -> Post:
    """Write a new draft by `actor`."""
    rules.require(rules.can_write_posts, actor, None, action="create_post")
    post = Post(author=actor, title=checked_title(title), description=checked_description(description))
    set_body(post, body)
    insert_with_free_slug(post)
    return post


def update_post(
    post: Post, *, actor: User, title: str | None = None, body: str | None = None, description: str | None = None
) -> Post:
    """Change what is given of a post; what is None stays. Nothing is written where nothing differs."""
    rules.require(rules.can_edit_post, actor, post, action="update_post")
    with transaction.atomic():
        post = _locked(post)
        changed: dict[str, Any] = {}
        if title is not None:
            changed["title"] = checked_title(title)
        if description is not None:
            changed["description"] = checked_description(description)
        changed = {name: value for name, value in changed.items() if getattr(post, name) != value}
        for name, value in changed.items():
            setattr(post, name, value)
        fields = list(changed)
        if body is not None and normalised(body) != post.body_markdown:
            set_body(post, body, pictures=partial(pictures_of, post))
            fields += ["body_markdown", "body_html", "excerpt"]
        if fields:
            post.updated_at = timezone.now()
            post.save(update_fields=[*fields, "updated_at"])
    return post


def publish_post(post: Post, *, actor: User) -> Post:
    """Let everybody read a post, from now on; one that is published already stays as it is."""
    rules.require(rules.can_edit_post, actor, post, action="publish_post")
    with transaction.atomic():
        post = _locked(post)
        if not post.is_published:
            post.status, post.published_at = Status.PUBLISHED, timezone.now()
            post.save(update_fields=["status", "published_at"])
    return post


def unpublish_post(post: Post, *, actor: User) -> Post:
    """Take a post back to a draft; its comments stay with it."""
    rules.require(rules.can_unpublish_post, actor, post, action="unpublish_post")
    with transaction.atomic():
        post = _locked(post)
        if post.is_published:
            post.status, post.published_at = Status.DRAFT, None
            post.save(update_fields=["status", "published_at"])
    return post


def delete_post(post: Post, *, actor: User) -> None:
    """Delete a post with its comments and images; the files go once that is certain."""
    rules.require(rules.can_edit_post, actor, post, action="delete_post")
    with transaction.atomic():
        post = _locked(post)
        for image in post.images.all():
            transaction.on_commit(partial(image.file.storage.delete, str(image.file)), robust=True)
        post.delete()


def add_comment(post: Post, *, author: User, body: str) -> Comment:
    """Add a comment, and have the post's other authors notified of it."""
    rules.require(rules.can_comment_on, author, post, action="add_comment")
    html = render_comment(body)
    with transaction.atomic():
        # Locked against an unpublish in between; whoever deletes the post waits for us, or we find it gone.
        post = Post.objects.select_for_update(no_key=True).select_related(None).get(pk=post.pk)
        rules.require(rules.can_comment_on, author, post, action="add_comment")
        now = timezone.now()
        comment = Comment.objects.create(
            post=post,
            author=author,
            body_markdown=normalised(body),
            body_html=html,
            created_at=now,
            updated_at=now,
        )
        for recipient in [post.author, *post.coauthors.all()]:
            if recipient.pk != author.pk:
                request_notification(
                    recipient,
                    kind="comment",
                    actor=author,
                    title=f"{author.name} commented on “{post.title}”",
                    url=comment.get_absolute_url(),
                )
        log.info("blog.comment_added", comment_id=comment.pk, post_id=post.pk)
    return comment


def edit_comment(comment: Comment, *, actor: User, body: str) -> Comment:
    """Change the words of a comment."""
    rules.require(rules.can_edit_comment, actor, comment, action="edit_comment")
    html = render_comment(body)
    with transaction.atomic():
        comment = Comment.objects.select_for_update(of=("self",)).select_related("author").get(pk=comment.pk)
        if normalised(body) != comment.body_markdown:
            comment.body_markdown, comment.body_html, comment.updated_at = normalised(body), html, timezone.now()
            comment.save(update_fields=["body_markdown", "body_html", "updated_at"])
    return comment


def delete_comment(comment: Comment, *, actor: User) -> None:
    """Take a comment away; the ledger still has its words."""
    rules.require(rules.can_delete_comment, actor, comment, action="delete_comment")
    with transaction.atomic():
        Comment.objects.filter(pk=comment.pk).delete()


def set_body(post: Post, body: str, *, pictures: Callable[[], dict[str, Any]] = dict) -> None:
    """Give an unsaved or locked post its text and all that is derived from it; doesn't save it."""
    post.body_html = render_post(body, pictures())
    post.body_markdown = normalised(body)
    post.excerpt = excerpt_of(post.body_html)


def insert_with_free_slug(post: Post, *, source: str = "", hint: str = "") -> None:
    """Store a new post under a slug made from `source` (its title, if empty) that nobody has.

    Raises:
        IntegrityError: something else than the slug is wrong.
    """
    for attempt in range(1, _ATTEMPTS_AT_A_SLUG + 1):
        post.slug = free_slug(source or post.title, hint=hint)
        try:
            with transaction.atomic():
                post.save(force_insert=True)
        except IntegrityError:
            # Somebody took the slug in between; if nobody did, it's another constraint.
            if attempt == _ATTEMPTS_AT_A_SLUG or not Post.objects.filter(slug=post.slug).exists():
                raise
        else:
            return


def checked_title(title: str) -> str:
    """Return `title` as one line; raise InvalidError where it's empty or too long."""
    title = " ".join(title.split())
    require_size(title, 4 * limits.TITLE_CHARACTERS, field="title")
    if len(title) > limits.TITLE_CHARACTERS:
        raise InvalidError(title=f"This has {len(title)} characters; at most {limits.TITLE_CHARACTERS} are accepted.")
    return title


def checked_description(description: str) -> str:
    """Return `description` as one line; raise InvalidError where it's too long."""
    description = " ".join(description.split())
    if "\x00" in description:
        raise InvalidError(description="This holds a NUL character; remove it.")
    if len(description) > limits.DESCRIPTION_CHARACTERS:
        most = limits.DESCRIPTION_CHARACTERS
        raise InvalidError(description=f"This has {len(description)} characters; at most {most} are accepted.")
    return description


def normalised(text: str) -> str:
    """Return `text` with line feeds alone (browsers send CR LF), and without empty lines around it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").rstrip()


def _locked(post: Post) -> Post:
    return Post.objects.select_for_update(of=("self",)).select_related("author").get(pk=post.pk)
