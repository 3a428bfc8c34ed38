"""Feeds: the newest posts of the whole blog, of a category, with a tag or by an author, as RSS and as Atom."""

import re
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.feedgenerator import Atom1Feed, Rss201rev2Feed
from django.utils.html import escape
from django.views.decorators.http import require_safe

from accounts.models import User
from blog import queries
from blog.addressing import absolute
from blog.caching.kinds import CATEGORY, POST, POSTS, SHELVES, TAG
from blog.models import Category, Post
from caching.dependencies import depends_on
from caching.pages import shared_page

_MOST_POSTS = 20
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
# What no XML may hold, however it's written.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class _Steady:
    """A feed that says the same until a post of it changes, even where there's none."""

    items: list[dict[str, Any]]

    def latest_post_date(self) -> datetime:
        """Return when the last of its posts was changed."""
        return max((item["updateddate"] for item in self.items), default=_BEGINNING)


class _Rss(_Steady, Rss201rev2Feed):
    pass


class _Atom(_Steady, Atom1Feed):
    pass


_FORMS: dict[str, type[_Rss | _Atom]] = {"rss": _Rss, "atom": _Atom}


@require_safe
@shared_page()
def blog(request: HttpRequest, form: str) -> HttpResponse:
    """Give the newest posts."""
    return _feed(form, queries.published_posts(), "Glasshouse", "The newest posts.", "/blog/", request.path)


@require_safe
@shared_page()
def category(request: HttpRequest, form: str, slug: str) -> HttpResponse:
    """Give the newest posts of a category."""
    found = get_object_or_404(Category, slug=slug)
    depends_on(CATEGORY, found.pk)
    told = found.description or f"The newest posts in {found.name}."
    return _feed(form, queries.posts_in(found), found.name, told, found.get_absolute_url(), request.path)


@require_safe
@shared_page()
def tag(request: HttpRequest, form: str, slug: str) -> HttpResponse:
    """Give the newest posts with a tag; one that only drafts have isn't known to anybody."""
    found = get_object_or_404(queries.tags_in_use(), slug=slug)
    depends_on(TAG, found.pk)
    told = f"The newest posts with the tag {found.name}."
    return _feed(form, queries.posts_tagged(found), found.name, told, found.get_absolute_url(), request.path)


@require_safe
@shared_page()
def author(request: HttpRequest, form: str, username: str) -> HttpResponse:
    """Give the newest posts of an author; who has none isn't known here."""
    found: User = get_object_or_404(queries.authors(), username=username)
    told = f"The newest posts by {found.name}."
    page = request.path.rpartition("/")[0] + "/"
    return _feed(form, queries.posts_by(found), found.name, told, page, request.path)


def _feed(form: str, posts: QuerySet[Post], title: str, description: str, page: str, path: str) -> HttpResponse:
    depends_on(POSTS)
    depends_on(SHELVES)
    feed = _FORMS[form](
        title=_xml(title if title == "Glasshouse" else f"{title} · Glasshouse"),
        link=absolute(page),
        description=_xml(description),
        language="en",
        feed_url=absolute(path),
    )
    for post in posts.prefetch_related("tags")[:_MOST_POSTS]:
        depends_on(POST, post.pk)
        feed.add_item(**_item(post))
    response = HttpResponse(content_type=feed.content_type)
    feed.write(response, "utf-8")
    return response


def _item(post: Post) -> dict[str, Any]:
    shelves = [post.category.name] if post.category else []
    if post.category:
        depends_on(CATEGORY, post.category.pk)
    for word in post.tags.all():
        depends_on(TAG, word.pk)
    return {
        "title": _xml(post.title),
        "link": absolute(post.get_absolute_url()),
        "description": _xml(escape(post.summary)),  # of what stands here, readers take it for HTML
        "author_name": _xml(", ".join(writer.name for writer in (post.author, *post.coauthors.all()))),
        "pubdate": post.published_at,
        "updateddate": max(post.updated_at, post.published_at or post.updated_at),
        # Its address may change.
        "unique_id": f"urn:glasshouse:blog.post:{post.pk}",
        "unique_id_is_permalink": False,
        "categories": [_xml(name) for name in (*shelves, *(word.name for word in post.tags.all()))],
    }


def _xml(text: str) -> str:
    return _NOT_XML.sub("", text)
