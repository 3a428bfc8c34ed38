"""Comments as a page shows them: threads of a first comment and its replies, with what the visitor may do to each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

from blog import queries, rules
from blog.caching.counts import comment_stubs
from blog.models import Comment, Post


class Right(IntFlag):
    """What a visitor may do to a comment."""

    EDIT = 1
    DELETE = 2
    REPORT = 4
    REPLY = 8


@dataclass(slots=True)
class Said:
    """A comment, what the visitor may do to it, and what was replied in its thread."""

    comment: Comment
    rights: Right
    replies: list["Said"] = field(default_factory=list)

    @property
    def may_edit(self) -> bool:
        """Whether there's a link to the form."""
        return Right.EDIT in self.rights

    @property
    def may_delete(self) -> bool:
        """Whether there's a link to the question."""
        return Right.DELETE in self.rights

    @property
    def may_report(self) -> bool:
        """Whether there's a link to the form."""
        return Right.REPORT in self.rights

    @property
    def may_reply(self) -> bool:
        """Whether there's a link to the form."""
        return Right.REPLY in self.rights

    @property
    def replies_to(self) -> str:
        """Return whom it replies to, where that isn't who began the thread."""
        name: str = getattr(self.comment, "replies_to", "")
        return name if self.comment.parent_id != self.comment.thread_id else ""


def rights_on(post: Post, page: Any, user: rules.Visitor) -> dict[int, Right]:
    """Return what `user` may do to each comment on a page of threads."""
    if not user.is_authenticated:
        return {}
    shown = (
        Comment(pk=pk, post=post, author_id=author, created_at=created_at, state=state)
        for pk, author, created_at, state in comment_stubs(post, page)
    )
    return {comment.pk: _rights(user, comment) for comment in shown}


def _rights(user: rules.Visitor, comment: Comment) -> Right:
    allowed = {
        Right.EDIT: rules.can_edit_comment,
        Right.DELETE: rules.can_delete_comment,
        Right.REPORT: rules.can_report_comment,
        Right.REPLY: rules.can_reply_to,
    }
    return Right(sum(right for right, rule in allowed.items() if rule(user, comment)))


def as_text(rights: Mapping[int, Right]) -> str:
    """Return rights as what the comments' part is kept by: people with the same rights see the same."""
    return "".join(f"{right:x}" for right in rights.values())


def threads_on(post: Post, page: Iterable[Comment], rights: Mapping[int, Right]) -> list[Said]:
    """Return the threads of a page, each with its replies."""
    threads = {comment.pk: Said(comment, rights.get(comment.pk, Right(0))) for comment in page}
    if threads:
        for reply in queries.replies_in(post, threads):
            threads[reply.thread_id or 0].replies.append(Said(reply, rights.get(reply.pk, Right(0))))
    return list(threads.values())
