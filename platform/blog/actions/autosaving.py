"""What is typed is kept before it's saved: a draft in its own row, all else in a copy that its writer alone sees."""

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

import audit
from accounts.models import User
from blog import limits, rules
from blog.actions.posts import update_post
from blog.errors import InvalidError
from blog.models import PendingCopy, Post, Status
from blog.revisions import AUTOSAVE

FIELDS = ("title", "description", "body", "category", "tags")


def autosave(post: Post | None, typed: Mapping[str, str], *, actor: User, version: str = "") -> Post | None:
    """Keep what was typed, and return the post where it was saved to its row; None where to a pending copy.

    `typed` has the editor's fields as text. A draft that can't be saved as it is, such as without a title, gets a
    pending copy too.

    Raises:
        ConflictError: the draft was changed since it was opened at `version`.
        InvalidError: on `body`, where it's too large to be kept.
    """
    if post is None:
        rules.require(rules.can_write_posts, actor, None, action="autosave")
    else:
        rules.require(rules.can_edit_post, actor, post, action="autosave")
        if post.status == Status.DRAFT:
            try:
                return _save_draft(post, typed, actor, version)
            except InvalidError:
                pass  # it's not done yet: nobody is told at each key
    keep_copy(post, typed, actor=actor, version=version)
    return None


def discard_pending_copy(post: Post | None, *, actor: User) -> None:
    """Forget what `actor` typed and didn't save, of a post or of a new one."""
    PendingCopy.objects.filter(user=actor, post=post).delete()


def _save_draft(post: Post, typed: Mapping[str, str], actor: User, version: str) -> Post:
    with transaction.atomic(), audit.reason(AUTOSAVE):
        saved = update_post(
            post,
            actor=actor,
            title=typed.get("title"),
            description=typed.get("description"),
            body=typed.get("body"),
            category=typed.get("category"),
            tags=typed["tags"].split(",") if "tags" in typed else None,
            version=version,
        )
        discard_pending_copy(saved, actor=actor)
    return saved


def keep_copy(post: Post | None, typed: Mapping[str, str], *, actor: User, version: str) -> None:
    """Keep what `actor` typed for them alone; raises InvalidError where it's too large."""
    values = {name: typed.get(name, "").replace("\x00", "") for name in FIELDS}
    if sum(len(value.encode("utf-8", "replace")) for value in values.values()) > 2 * limits.BODY_BYTES:
        raise InvalidError(body="This is too large to be kept; shorten it.")
    kept = {**values, "version": version[:60], "saved_at": timezone.now()}
    PendingCopy.objects.update_or_create(user=actor, post=post, defaults=kept)
