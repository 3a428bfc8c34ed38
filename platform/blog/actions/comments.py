"""What is done with comments, and who is told."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from blog import limits, rules
from blog.actions.announcing import announce_comment
from blog.actions.texts import normalised
from blog.errors import InvalidError, OvertakenError
from blog.markdown import render_comment
from blog.mentions import mentioned_in
from blog.models import Comment, Post
from notifications.actions import request_notification
from telemetry.logs import get_logger

log = get_logger(__name__)


def add_comment(post: Post, *, author: User, body: str, parent: Comment | None = None) -> Comment:
    """Add a comment, or a reply to one, and have those notified whom it concerns, each once.

    Raises:
        InvalidError: on `parent`, where it's on another post, gone, or its thread is full.
    """
    rules.require(rules.can_comment_on, author, post, action="add_comment")
    html = render_comment(body)
    with transaction.atomic():
        # Locked against an unpublish in between; whoever deletes the post waits for us, or we find it gone.
        post = Post.objects.select_for_update(no_key=True).select_related(None).get(pk=post.pk)
        rules.require(rules.can_comment_on, author, post, action="add_comment")
        above = _answerable(post, parent) if parent else None
        now = timezone.now()
        comment = Comment.objects.create(
            post=post,
            author=author,
            parent=above,
            thread_id=(above.thread_id or above.pk) if above else None,
            body_markdown=normalised(body),
            body_html=html,
            created_at=now,
            updated_at=now,
        )
        _tell(comment, above)
        log.info("blog.comment_added", comment_id=comment.pk, post_id=post.pk)
    return comment


def edit_comment(comment: Comment, *, actor: User, body: str, is_as_read: bool = False) -> Comment:
    """Change the words of a comment; who is mentioned only now is notified.

    Raises:
        OvertakenError: with `is_as_read`, where it isn't any more what `comment` says.
    """
    rules.require(rules.can_edit_comment, actor, comment, action="edit_comment")
    html = render_comment(body)
    with transaction.atomic():
        comment = locked_comment(comment, is_as_read=is_as_read)
        rules.require(rules.can_edit_comment, actor, comment, action="edit_comment")
        if normalised(body) != comment.body_markdown:
            before = {user.pk for user in mentioned_in(comment.body_markdown)}
            comment.body_markdown, comment.body_html, comment.updated_at = normalised(body), html, timezone.now()
            comment.save(update_fields=["body_markdown", "body_html", "updated_at"])
            new = [user for user in mentioned_in(comment.body_markdown) if user.pk not in before]
            _tell_each(comment, new, "mention", "mentioned you in a comment on", but_for={comment.author_id, actor.pk})
    return comment


def delete_comment(comment: Comment, *, actor: User, is_as_read: bool = False) -> None:
    """Take a comment away; the ledger still has its words. Where it was answered or reported, its place stays.

    Raises:
        OvertakenError: with `is_as_read`, where it isn't any more what `comment` says.
    """
    rules.require(rules.can_delete_comment, actor, comment, action="delete_comment")
    with transaction.atomic():
        comment = locked_comment(comment, is_as_read=is_as_read)
        rules.require(rules.can_delete_comment, actor, comment, action="delete_comment")
        remove(comment)


def remove(comment: Comment) -> None:
    """Delete a locked comment; who may is for the caller to ask."""
    if comment.replies.exists() or comment.reports.exists():
        comment.state, comment.body_markdown, comment.body_html = Comment.State.DELETED, "", ""
        comment.save(update_fields=["state", "body_markdown", "body_html"])
    else:
        comment.delete()


def locked_comment(comment: Comment, *, is_as_read: bool = False) -> Comment:
    """Return a comment as it is now; its post first, so that nobody answers it meanwhile.

    Raises:
        OvertakenError: with `is_as_read`, where it isn't any more what `comment` says.
    """
    Post.objects.select_for_update(no_key=True).select_related(None).only("pk").get(pk=comment.post_id)
    comments = Comment.objects.select_for_update(of=("self",)).select_related("author", "post", "post__author")
    now: Comment = comments.get(pk=comment.pk)
    if is_as_read and (now.updated_at, now.state) != (comment.updated_at, comment.state):
        raise OvertakenError(OvertakenError.__doc__)
    return now


def _answerable(post: Post, parent: Comment) -> Comment:
    above = Comment.objects.select_related("author").filter(pk=parent.pk, post=post).first()
    if above is None or not above.is_visible:
        raise InvalidError(parent="The comment to reply to isn't there any more.")
    thread = above.thread_id or above.pk
    if Comment.objects.filter(thread=thread).count() >= limits.REPLIES_OF_A_THREAD:
        most = limits.REPLIES_OF_A_THREAD
        raise InvalidError(parent=f"This thread has {most} replies, as many as it can; begin another.")
    return above


def _tell(comment: Comment, above: Comment | None) -> None:
    """Tell each for the reason that is nearest to them: a reply, a mention, their post, what they follow."""
    told = {comment.author_id}
    if above:
        told |= _tell_each(comment, [above.author], "reply", "replied to your comment on", but_for=told)
    mentioned = mentioned_in(comment.body_markdown)
    told |= _tell_each(comment, mentioned, "mention", "mentioned you in a comment on", but_for=told)
    authors = [comment.post.author, *comment.post.coauthors.all()]
    _tell_each(comment, authors, "comment", "commented on", but_for=told)
    announce_comment(comment)


def _tell_each(comment: Comment, people: Iterable[User], kind: str, did: str, *, but_for: set[int]) -> set[int]:
    told = {user.pk: user for user in people if user.pk not in but_for}
    for recipient in told.values():
        request_notification(
            recipient,
            kind=kind,
            actor=comment.author,
            title=f"{comment.author.name} {did} “{comment.post.title}”",
            url=comment.get_absolute_url(),
            topic=f"blog.post-{comment.post_id}",
            topic_title=f"“{comment.post.title}”",
        )
    return set(told)
