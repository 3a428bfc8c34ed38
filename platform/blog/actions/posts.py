"""A post's life, from its first line to its end."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from blog import rules
from blog.actions.addresses import move_post
from blog.actions.announcing import announce_post
from blog.actions.texts import checked_description, checked_title, normalised, set_body
from blog.errors import ConflictError
from blog.models import Post, Status
from blog.queries import pictures_of
from blog.slugs import free_slug
from blog.taxonomy import category_with_slug, tags_named

_ATTEMPTS_AT_A_SLUG = 5


def create_post(
    *,
    actor: User,
    title: str,
    body: str,
    description: str = "",
    category: str = "",
    tags: Iterable[str] = (),
) -> Post:
    """Write a new draft by `actor`; `category` is a slug, `tags` are names."""
    rules.require(rules.can_write_posts, actor, None, action="create_post")
    post = Post(author=actor, title=checked_title(title), description=checked_description(description))
    set_body(post, body)
    with transaction.atomic():
        post.category = category_with_slug(category)
        insert_with_free_slug(post)
        if chosen := tags_named(tags):
            post.tags.set(chosen)
    return post


def update_post(
    post: Post,
    *,
    actor: User,
    title: str | None = None,
    body: str | None = None,
    description: str | None = None,
    category: str | None = None,
    tags: Iterable[str] | None = None,
    slug: str | None = None,
    version: str | None = None,
) -> Post:
    """Change what is given of a post; what is None stays. Nothing is written where nothing differs.

    Raises:
        ConflictError: `version` is given, and the post is another one by now.
    """
    rules.require(rules.can_edit_post, actor, post, action="update_post")
    with transaction.atomic():
        post = locked_post(post, version)
        rules.require(rules.can_edit_post, actor, post, action="update_post")
        changed: dict[str, Any] = {}
        if title is not None:
            changed["title"] = checked_title(title)
        if description is not None:
            changed["description"] = checked_description(description)
        if category is not None:
            changed["category"] = category_with_slug(category)
        changed = {name: value for name, value in changed.items() if getattr(post, name) != value}
        for name, value in changed.items():
            setattr(post, name, value)
        fields = list(changed)
        if slug is not None and move_post(post, slug):
            fields.append("slug")
        if body is not None and normalised(body) != post.body_markdown:
            set_body(post, body, pictures=partial(pictures_of, post))
            fields += ["body_markdown", "body_html", "excerpt"]
        chosen = tags_named(tags) if tags is not None else None
        are_tags_new = chosen is not None and set(chosen) != set(post.tags.all())
        if fields or are_tags_new:
            post.updated_at = timezone.now()
            post.save(update_fields=[*fields, "updated_at"])
        if chosen is not None and are_tags_new:
            post.tags.set(chosen)
    return post


def publish_post(post: Post, *, actor: User, version: str | None = None) -> Post:
    """Let everybody read a post, from now on; one that is published already stays as it is.

    Raises:
        ConflictError: `version` is given, and the post is another one by now.
    """
    rules.require(rules.can_publish_post, actor, post, action="publish_post")
    with transaction.atomic():
        post = locked_post(post, version)
        if not post.is_published:
            release(post)
    return post


def release(post: Post) -> None:
    """Make a locked post public; who may is for the caller to ask."""
    post.status, post.published_at = Status.PUBLISHED, timezone.now()
    post.publish_at, post.scheduled_by, post.review_note = None, None, ""
    post.save(update_fields=["status", "published_at", "publish_at", "scheduled_by", "review_note"])
    announce_post(post)


def unpublish_post(post: Post, *, actor: User, version: str | None = None) -> Post:
    """Take a post back to a draft; its comments stay with it. Raises as `publish_post`."""
    rules.require(rules.can_unpublish_post, actor, post, action="unpublish_post")
    with transaction.atomic():
        post = locked_post(post, version)
        if post.is_published:
            post.status, post.published_at = Status.DRAFT, None
            post.save(update_fields=["status", "published_at"])
    return post


def delete_post(post: Post, *, actor: User, version: str | None = None) -> None:
    """Delete a post with its comments and images; the files go once that is certain.

    Raises:
        ConflictError: `version` is given, and the post is another one by now.
    """
    rules.require(rules.can_edit_post, actor, post, action="delete_post")
    with transaction.atomic():
        post = locked_post(post, version)
        rules.require(rules.can_edit_post, actor, post, action="delete_post")
        for image in post.images.all():
            transaction.on_commit(partial(image.file.storage.delete, str(image.file)), robust=True)
        post.delete()


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


def locked_post(post: Post, version: str | None = None) -> Post:
    """Return the post as it is now, and nobody else's to change until the transaction ends.

    Raises:
        ConflictError: `version` is given, what somebody read, and the post is another one by now.
    """
    rows = Post.objects.select_for_update(of=("self",)).select_related("author", "category")
    found: Post = rows.get(pk=post.pk)
    if version is not None and found.version != version:
        raise ConflictError(ConflictError.__doc__)
    return found
