"""What is done with comments."""

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from blog import rules
from blog.actions.texts import normalised
from blog.markdown import render_comment
from blog.models import Comment, Post
from notifications.actions import request_notification
from telemetry.logs import get_logger

log = get_logger(__name__)


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
                    topic=f"blog.post-{post.pk}",
                    topic_title=f"“{post.title}”",
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
