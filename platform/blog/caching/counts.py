"""Counts and short lists that pages ask for again and again."""

from collections.abc import Collection
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, QuerySet

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
    """Return how many comments each of some posts has."""

    def count(missing: Collection[int]) -> dict[int, int]:
        rows = Comment.objects.filter(post__in=missing).order_by().values_list("post").annotate(Count("pk"))
        return dict.fromkeys(missing, 0) | dict(rows)

    return values("blog.comments", posts, count, kind=POST)


def comment_authors(post: Post, page: Any) -> list[tuple[int, int]]:
    """Return the comments of a page as pairs of their id and their author's."""

    def read(missing: Collection[int]) -> dict[int, list[tuple[int, int]]]:
        return {post.pk: [(comment.pk, comment.author_id) for comment in page]}

    return values(f"blog.comment-authors.{page.number}", [post.pk], read, kind=POST)[post.pk]
