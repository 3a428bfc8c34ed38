"""Which kept pages a change of the ledger's echo moves on. Nothing else moves any on.

An echo of many rows names the first few alone; then all posts count as changed. An echo of a comment's or an image's
change names no post, and one of a person's name nobody's posts, so these are looked up, by whoever made the change.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from django.db import models
from django.db.models import Q

from audit.echo import Change
from audit.signals import model_changed
from blog.caching.kinds import CATEGORY, POST, POSTS, SHELVES, TAG
from blog.models import Comment, Image, Post, Status
from caching.dependencies import dependency, every
from caching.generations import invalidate
from telemetry.logs import get_logger

log = get_logger(__name__)

# Of one person's posts and comments; beyond it all posts count as changed.
_MOST_POSTS_OF_ONE = 1_000
_ORDERING = frozenset({"status", "published_at"})
_SHELVING = frozenset({"category_id", "author_id", "coauthors", "tags"})
_ALL = frozenset({every(POST), every(CATEGORY), every(TAG), POSTS, SHELVES})
_NAMES = frozenset({"username", "display_name"})

Event = tuple[str, str, dict[str, Any]]  # what happened, the object's id, the changes


def connect() -> None:
    """Connect the receiver."""
    model_changed.connect(forget_what_changed, dispatch_uid="blog.caching")


def forget_what_changed(sender: Any, change: Change, **kwargs: Any) -> None:
    """Move on what the change shows in."""
    rule = _RULES.get(change.object_type)
    if rule is None or change.outcome != "success":
        return
    try:
        changed = frozenset(one for event in _events(change) for one in rule(event))
    except _UnknownRowsError:
        log.info("blog.every_post_forgotten", action=change.action, count=change.count)
        changed = _ALL
    except Exception:  # rather all too much than one too little
        log.exception("blog.every_post_forgotten", action=change.action, count=change.count)
        changed = _ALL
    invalidate(changed)


class _UnknownRowsError(Exception):
    """The echo doesn't name all rows that changed."""


def _events(change: Change) -> Iterator[Event]:
    if change.count == 1:
        found = [(change.action, change.object_id, change.changes)]
    else:
        found = [(one["action"], one["object_id"], one["changes"]) for one in change.first]
    if len(found) < change.count:
        raise _UnknownRowsError
    for action, object_id, changes in found:
        what = action.rpartition(".")[2]
        if what not in {"created", "updated", "deleted"}:
            if what == "truncated":
                raise _UnknownRowsError
            continue  # an event that is no row, such as a denial
        if not object_id:
            raise _UnknownRowsError
        yield what, object_id, changes


def _of_post(event: Event) -> Iterable[str]:
    what, object_id, changes = event
    yield dependency(POST, object_id)
    is_in_lists = _ORDERING & changes.keys() if what == "updated" else changes["status"] == Status.PUBLISHED
    if is_in_lists:
        yield POSTS
    if _SHELVING & changes.keys() and Post.objects.filter(pk=object_id, status=Status.PUBLISHED).exists():
        yield SHELVES


def _of_part(model: type[models.Model], event: Event) -> Iterable[str]:
    """A comment or an image: `post_id` is told where the row is whole, or where it moved to another post."""
    what, object_id, changes = event
    if "post_id" in changes:
        told = changes["post_id"]
        posts = told if what == "updated" else [told]
    else:
        posts = list(model._default_manager.filter(pk=object_id).values_list("post_id", flat=True))
    return [dependency(POST, post) for post in posts]


def _of_shelf(kind: str, event: Event) -> Iterable[str]:
    return [dependency(kind, event[1])]


def _of_user(event: Event) -> Iterable[str]:
    what, object_id, changes = event
    if what != "updated" or not _NAMES & changes.keys():
        return []
    user = int(object_id)
    theirs = Q(author=user) | Q(pk__in=Post.coauthors.through.objects.filter(user=user).values("post"))
    theirs |= Q(pk__in=Comment.objects.filter(author=user).values("post"))
    posts = list(Post.objects.filter(theirs).values_list("pk", flat=True)[: _MOST_POSTS_OF_ONE + 1])
    if len(posts) > _MOST_POSTS_OF_ONE:
        raise _UnknownRowsError
    return [dependency(POST, post) for post in posts]


_RULES: dict[str, Callable[[Event], Iterable[str]]] = {
    "blog.post": _of_post,
    "blog.comment": partial(_of_part, Comment),
    "blog.image": partial(_of_part, Image),
    "blog.category": partial(_of_shelf, CATEGORY),
    "blog.tag": partial(_of_shelf, TAG),
    "accounts.user": _of_user,
}
