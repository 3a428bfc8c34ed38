"""A post says again what it said at an earlier time."""

from django.db import transaction

import audit
from accounts.models import User
from blog import revisions, rules
from blog.actions.posts import update_post
from blog.models import Post


def restore_revision(post: Post, event_id: int, *, actor: User, version: str | None = None, reason: str = "") -> Post:
    """Give a post the texts, the category and the tags that it had after an event; all else stays as it is.

    Raises:
        Http404: the ledger has no such change of this post.
        ConflictError: the post isn't the `version` any longer that was looked at.
        InvalidError: what was accepted then isn't any more.
    """
    rules.require(rules.can_edit_post, actor, post, action="restore_revision")
    was, tags = revisions.text_at(post, event_id)
    why = f"restored from event {event_id}" + (f": {reason}" if reason else "")
    with transaction.atomic(), audit.reason(why):
        return update_post(
            post,
            actor=actor,
            title=was.title,
            body=was.body_markdown,
            description=was.description or "",
            category=revisions.category_slug(was),
            tags=tags,
            version=version,
        )
