"""What the ledger leaves out of posts and comments, made of their text where it brings them back."""

from django.core.exceptions import ValidationError
from django.utils import timezone

import audit
from blog.actions.texts import set_body
from blog.errors import InvalidError
from blog.markdown import render_comment
from blog.models import Comment, Post
from blog.queries import pictures_of


@audit.derives("blog.Post", "body_html", "excerpt", "updated_at")
def derive_post(post: Post) -> None:
    """Render a post's text, and give the post a new version; doesn't save it.

    Raises:
        ValidationError: the text isn't accepted any more.
    """
    try:
        set_body(post, post.body_markdown, pictures=lambda: pictures_of(post))
    except InvalidError as error:
        raise ValidationError({"body_markdown": str(error.messages["body"])}) from error
    # A program that asks whether the post was changed since is told that it was.
    post.updated_at = timezone.now()


@audit.derives("blog.Comment", "body_html")
def derive_comment(comment: Comment) -> None:
    """Render a comment's text, unless it was taken away; doesn't save the comment.

    Raises:
        ValidationError: the text isn't accepted any more.
    """
    try:
        comment.body_html = render_comment(comment.body_markdown) if comment.body_markdown else ""
    except InvalidError as error:
        raise ValidationError({"body_markdown": str(error.messages["body"])}) from error
