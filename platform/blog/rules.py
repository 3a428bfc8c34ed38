"""Who may do what in the blog; the one place that says so. Pages, API and actions all ask here.

- everybody reads published posts; a draft is seen by its authors and by those who may manage any post;
- authors (`blog.add_post`) write, publish, schedule and delete their own posts;
- moderators take any post back to draft (`blog.unpublish_post`) and delete any comment (`blog.delete_comment`);
- whoever is logged in comments on a published post, and changes or deletes their own comments;
- administrators do everything (`blog.manage_post`).
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from django.contrib.auth.models import AnonymousUser

import audit
from accounts.models import User
from blog.errors import NotAllowedError
from blog.models import Comment, Post

Visitor: TypeAlias = User | AnonymousUser


def is_author_of(user: Visitor, post: Post) -> bool:
    """Whether `user` is among the post's authors."""
    if not isinstance(user, User):
        return False
    return post.author_id == user.pk or (post.pk is not None and post.coauthors.filter(pk=user.pk).exists())


def can_manage_any_post(user: Visitor) -> bool:
    """Whether all posts are theirs to see and change."""
    return user.has_perm("blog.manage_post")


def can_write_posts(user: Visitor, target: None = None) -> bool:
    """Whether `user` may start a post."""
    return user.has_perm("blog.add_post")


def can_edit_post(user: Visitor, post: Post) -> bool:
    """Whether `user` may change or delete the post."""
    return can_manage_any_post(user) or (can_write_posts(user) and is_author_of(user, post))


def can_publish_post(user: Visitor, post: Post) -> bool:
    """Whether `user` may let everybody read the post, now or at a time to come."""
    return can_edit_post(user, post)


def can_unschedule_post(user: Visitor, post: Post) -> bool:
    """Whether `user` may take a scheduled post back to a draft."""
    return can_edit_post(user, post)


def can_unpublish_post(user: Visitor, post: Post) -> bool:
    """Whether `user` may take the post back to a draft."""
    return user.has_perm("blog.unpublish_post") or can_edit_post(user, post)


def can_comment_on(user: Visitor, post: Post) -> bool:
    """Whether `user` may say something to the post."""
    return isinstance(user, User) and user.is_active and post.is_published


def can_edit_comment(user: Visitor, comment: Comment) -> bool:
    """Whether `user` may change the words: nobody puts words into another's mouth, but an administrator can."""
    is_own = isinstance(user, User) and user.is_active and comment.author_id == user.pk
    return is_own or can_manage_any_post(user)


def can_delete_comment(user: Visitor, comment: Comment) -> bool:
    """Whether `user` may take the comment away."""
    return can_edit_comment(user, comment) or user.has_perm("blog.delete_comment")


def require(rule: Callable[[Any, Any], bool], user: Visitor, target: Post | Comment | None, *, action: str) -> None:
    """Raise unless `rule(user, target)` holds; the ledger remembers the denial.

    Raises:
        NotAllowedError: the rule doesn't hold.
    """
    if rule(user, target):
        return
    audit.record("blog.access.denied", target=target, outcome="denied", changes={"action": action})
    raise NotAllowedError(NotAllowedError.__doc__)
