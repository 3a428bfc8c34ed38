"""Lists of posts for templates, lazy: where the part that shows them is kept, they cost nothing."""

from typing import Any

from django.db.models import QuerySet
from django.utils.functional import SimpleLazyObject

from blog import limits, queries
from blog.caching.counts import CountedPaginator, comment_counts, published_count
from blog.caching.kinds import CATEGORY, POSTS, SHELVES
from blog.models import Category, Post
from caching.dependencies import depends_on


def latest_posts(count: int) -> Any:
    """Return the newest posts, each with `comment_count`."""
    return _rows(queries.published_posts()[:count])


def page_of_posts(number: str | None) -> Any:
    """Return a page of all published posts, newest first, each with `comment_count`."""
    posts = queries.published_posts()
    page = CountedPaginator(posts, limits.POSTS_PER_PAGE, count=published_count()).get_page(number)
    page.object_list = _rows(page.object_list)
    return page


def page_of_shelf(posts: QuerySet[Post], number: str | None) -> Any:
    """Return a page of some of the published posts, by category, tag or author, each with `comment_count`."""
    depends_on(POSTS)
    depends_on(SHELVES)
    page = CountedPaginator(posts, limits.POSTS_PER_PAGE, count=posts.count()).get_page(number)
    page.object_list = _rows(page.object_list)
    return page


def categories() -> Any:
    """Return the categories that have published posts, each with `post_count`."""

    def read() -> list[Category]:
        depends_on(POSTS)
        depends_on(SHELVES)
        found = list(queries.categories_in_use())
        for category in found:
            depends_on(CATEGORY, category.pk)
        return found

    return SimpleLazyObject(read)


def _rows(posts: QuerySet[Post]) -> Any:
    def read() -> list[Post]:
        depends_on(POSTS)  # here, since it's the part being made that does
        found = list(posts)
        counts = comment_counts([post.pk for post in found])
        for post in found:
            post.comment_count = counts[post.pk]  # type: ignore[attr-defined]
        return found

    return SimpleLazyObject(read)
