"""All that changes the blog. Each action checks `blog.rules`, is atomic, and takes effect outside on commit.

Each raises `NotAllowedError` where the rules forbid it, and `InvalidError` where values are not acceptable.
"""

from blog.actions.autosaving import autosave, discard_pending_copy, keep_copy
from blog.actions.categories import create_category, delete_category, update_category
from blog.actions.comments import add_comment, delete_comment, edit_comment
from blog.actions.following import follow, unfollow
from blog.actions.moderating import decide_reports, report_comment, show_comment
from blog.actions.posts import create_post, delete_post, publish_post, unpublish_post, update_post
from blog.actions.restoring import restore_revision
from blog.actions.reviewing import approve_post, request_review, send_back_post, withdraw_review
from blog.actions.scheduling import publish_due_posts, schedule_post, unschedule_post

__all__ = [
    "add_comment",
    "approve_post",
    "autosave",
    "create_category",
    "create_post",
    "decide_reports",
    "delete_category",
    "delete_comment",
    "delete_post",
    "discard_pending_copy",
    "edit_comment",
    "follow",
    "keep_copy",
    "publish_due_posts",
    "publish_post",
    "report_comment",
    "request_review",
    "restore_revision",
    "schedule_post",
    "send_back_post",
    "show_comment",
    "unfollow",
    "unpublish_post",
    "unschedule_post",
    "update_category",
    "update_post",
    "withdraw_review",
]
