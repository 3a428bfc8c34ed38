"""Counts and short lists that pages ask for again and again."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet

from blog.caching.kinds import POST, POSTS
from blog.models import Comment, Post, Status
from caching.dependencies import leave_unstored
from caching.values import value, values


class CountedPaginator(Paginator[Any]):
    """Pages of a query whose rows are counted already."""

    def __init__(self, rows: QuerySet[Any], per_page: int, *, count: int) -> None:
        super().__init__(rows, per_page)
        self.count = count

    def get_page(self, number: Any) -> Any:
        """Return the page; that of an odd number isn't kept, since there are so many odd numbers."""
        page = super().get_page(number)
        if number is not None and str(number) != str(page.number):
            leave_unstored("odd_page")
        return page


def published_count() -> int:
    """Return how many posts are published."""
    return value("blog.published", Post.objects.filter(status=Status.PUBLISHED).count, kind=POSTS)


def comment_counts(posts: Collection[int]) -> dict[int, int]:
    """Return how many comments each of some posts has that can be read."""

    def count(missing: Collection[int]) -> dict[int, int]:
        shown = Comment.objects.filter(post__in=missing, state=Comment.State.VISIBLE)
        rows = shown.order_by().values_list("post").annotate(Count("pk"))
        return dict.fromkeys(missing, 0) | dict(rows)

    return values("blog.comments", posts, count, kind=POST)


def thread_count(post: Post) -> int:
    """Return how many threads of comments a post has."""

    def count(missing: Collection[int]) -> dict[int, int]:
        return {post.pk: Comment.objects.filter(post=post, thread__isnull=True).count()}

    return values("blog.threads", [post.pk], count, kind=POST)[post.pk]


Stub = tuple[int, int, datetime, str]


def comment_stubs(post: Post, page: Any) -> list[Stub]:
    """Return of each comment in a page's threads what decides who may do what: its id, author, time and state."""

    def read(missing: Collection[int]) -> dict[int, list[Stub]]:
        first = [comment.pk for comment in page]
        rows = Comment.objects.filter(Q(pk__in=first) | Q(thread__in=first), post=post).order_by("id")
        return {post.pk: list(rows.values_list("id", "author_id", "created_at", "state"))}

    return values(f"blog.comment-stubs.{page.number}", [post.pk], read, kind=POST)[post.pk]
