"""Who may do what in the blog; the one place that says so. Pages, API and actions all ask here.

- everybody reads published posts; a draft is seen by its authors and by those who may manage any post;
- who writes (`blog.add_post`) changes and deletes their own drafts; who publishes as well (`blog.publish_post`) does so
  with their own posts, at once or at a time to come, and changes what is published;
- others ask for a review: who reviews (`blog.review_post`) sees what waits for it, and publishes it or sends it back,
  unless it's their own;
- moderators review, take any post back to draft (`blog.unpublish_post`), change and delete any comment
  (`blog.change_comment`, `blog.delete_comment`), and decide on those that were reported (`blog.change_report`);
- whoever is logged in comments on a published post, replies, reports others' comments, changes their own for a quarter
  of an hour and deletes them at any time;
- administrators do everything (`blog.manage_post`), and look after the categories.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.utils import timezone

import audit
from accounts.models import User
from blog import limits
from blog.errors import NotAllowedError
from blog.models import Category, Comment, Post, Status

Visitor: TypeAlias = User | AnonymousUser


def is_author_of(user: Visitor, post: Post) -> bool:
    """Whether `user` is among the post's authors."""
    if not isinstance(user, User):
        return False
    if post.author_id == user.pk:
        return True
    known: list[int] | None = getattr(post, "coauthor_ids", None)  # fetched along with the post
    if known is not None:
        return user.pk in known
    return post.pk is not None and post.coauthors.filter(pk=user.pk).exists()


def can_manage_any_post(user: Visitor) -> bool:
    """Whether all posts are theirs to see and change."""
    return user.has_perm("blog.manage_post")


def can_write_posts(user: Visitor, target: None = None) -> bool:
    """Whether `user` may start a post."""
    return user.has_perm("blog.add_post")


def can_edit_post(user: Visitor, post: Post) -> bool:
    """Whether `user` may change or delete the post: what is approved or published only if they may publish it."""
    if can_manage_any_post(user):
        return True
    is_open = post.status in (Status.DRAFT, Status.REVIEW) or user.has_perm("blog.publish_post")
    return is_open and can_write_posts(user) and is_author_of(user, post)


def can_publish_post(user: Visitor, post: Post) -> bool:
    """Whether `user` may let everybody read the post, now or at a time to come."""
    if can_manage_any_post(user):
        return True
    if post.is_scheduled and post.scheduled_by_id == user.pk and user.has_perm("blog.review_post"):
        return True
    return user.has_perm("blog.publish_post") and can_write_posts(user) and is_author_of(user, post)


def can_unschedule_post(user: Visitor, post: Post) -> bool:
    """Whether `user` may take a scheduled post back to a draft."""
    return can_publish_post(user, post) or (can_write_posts(user) and is_author_of(user, post))


def can_review_post(user: Visitor, post: Post) -> bool:
    """Whether `user` may approve the post, which waits for it, or send it back."""
    if not post.is_in_review:
        return False
    return can_manage_any_post(user) or (user.has_perm("blog.review_post") and not is_author_of(user, post))


def can_see_history(user: Visitor, post: Post) -> bool:
    """Whether `user` may see what the post said before, which is for those who make it alone."""
    is_own = can_write_posts(user) and is_author_of(user, post)
    return is_own or can_manage_any_post(user) or can_review_post(user, post)


def can_unpublish_post(user: Visitor, post: Post) -> bool:
    """Whether `user` may take the post back to a draft."""
    is_own = can_write_posts(user) and is_author_of(user, post)
    return user.has_perm("blog.unpublish_post") or can_manage_any_post(user) or is_own


def can_comment_on(user: Visitor, post: Post) -> bool:
    """Whether `user` may say something to the post."""
    return isinstance(user, User) and user.is_active and post.is_published


def can_reply_to(user: Visitor, comment: Comment) -> bool:
    """Whether `user` may answer the comment, as long as its words are there."""
    return comment.is_visible and can_comment_on(user, comment.post)


def can_edit_comment(user: Visitor, comment: Comment) -> bool:
    """Whether `user` may change the words: one's own for a while, and moderators any."""
    if not comment.is_visible or not isinstance(user, User) or not user.is_active:
        return False
    is_fresh = timezone.now() < comment.created_at + timedelta(minutes=limits.EDIT_WINDOW_MINUTES)
    is_own = comment.author_id == user.pk and is_fresh
    return is_own or user.has_perm("blog.change_comment") or can_manage_any_post(user)


def can_delete_comment(user: Visitor, comment: Comment) -> bool:
    """Whether `user` may take the comment away for good."""
    if comment.state == Comment.State.DELETED or not isinstance(user, User) or not user.is_active:
        return False
    return comment.author_id == user.pk or user.has_perm("blog.delete_comment") or can_manage_any_post(user)


def can_report_comment(user: Visitor, comment: Comment) -> bool:
    """Whether `user` may tell moderators of the comment."""
    return isinstance(user, User) and user.is_active and comment.is_visible and comment.author_id != user.pk


def can_see_reports(user: Visitor, target: None = None) -> bool:
    """Whether `user` sees what was reported."""
    return user.has_perm("blog.view_report") or can_manage_any_post(user)


def can_moderate_comment(user: Visitor, comment: Comment) -> bool:
    """Whether `user` may hide the comment, show it again, and decide what was reported of it: never of their own."""
    if can_manage_any_post(user):
        return True
    return user.has_perm("blog.change_report") and comment.author_id != user.pk


def can_manage_categories(user: Visitor, category: Category | None = None) -> bool:
    """Whether `user` may make categories, change and delete them."""
    verbs = ("add", "change", "delete")
    return can_manage_any_post(user) or user.has_perms([f"blog.{verb}_category" for verb in verbs])


def can_follow(user: Visitor, what: User | Category | Post) -> bool:
    """Whether `user` may be told of its news: of what everybody sees, and of others."""
    if not isinstance(user, User) or not user.is_active:
        return False
    return what.is_published if isinstance(what, Post) else what != user


def require(rule: Callable[[Any, Any], bool], user: Visitor, target: models.Model | None, *, action: str) -> None:
    """Raise unless `rule(user, target)` holds; the ledger remembers the denial.

    Raises:
        NotAllowedError: the rule doesn't hold.
    """
    if rule(user, target):
        return
    audit.record("blog.access.denied", target=target, outcome="denied", changes={"action": action})
    raise NotAllowedError(NotAllowedError.__doc__)
