"""What search engines ask for: what is here, and what is none of theirs."""

from collections.abc import Iterable
from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import escape
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from blog import queries
from blog.addressing import absolute

# The protocol lets a map have 50,000; smaller ones are answered sooner.
POSTS_A_MAP = 10_000
_MOST_SHELVES = 10_000
_NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"
_ROBOTS = """User-agent: *
Disallow: /accounts/
Disallow: /admin/
Disallow: /api/
Disallow: /audit/
Disallow: /blog/comments/
Disallow: /blog/drafts/
Disallow: /blog/search/
Disallow: /chat/
Disallow: /notifications/
Disallow: /ops/
Disallow: /tasks/

Sitemap: {sitemap}
"""
_daily = cache_control(public=True, max_age=3_600)


@require_safe
@_daily
def robots(request: HttpRequest) -> HttpResponse:
    """Say what crawlers should leave alone, and where the map is."""
    return HttpResponse(_ROBOTS.format(sitemap=absolute(reverse("blog:sitemap"))), content_type="text/plain")


@require_safe
@_daily
def index(request: HttpRequest) -> HttpResponse:
    """List the maps."""
    count = queries.published_posts().count()
    maps = [reverse("blog:sitemap_shelves")]
    maps += [reverse("blog:sitemap_posts", args=[number]) for number in range(1, -(-count // POSTS_A_MAP) + 1)]
    return _xml("sitemapindex", "sitemap", ((path, None) for path in maps))


@require_safe
@_daily
def shelves(request: HttpRequest) -> HttpResponse:
    """Give the pages that list posts."""
    paths = [reverse("blog:home"), reverse("blog:archive")]
    paths += [category.get_absolute_url() for category in queries.categories_in_use()]
    paths += [tag.get_absolute_url() for tag in queries.tags_in_use()[:_MOST_SHELVES]]
    names = queries.authors().values_list("username", flat=True)[:_MOST_SHELVES]
    paths += [reverse("blog:author", args=[name]) for name in names]
    return _xml("urlset", "url", ((path, None) for path in paths))


@require_safe
@_daily
def posts(request: HttpRequest, number: int) -> HttpResponse:
    """Give some of the posts, in an order in which none moves to another map but when one before it goes."""
    first = (number - 1) * POSTS_A_MAP
    rows = list(queries.addresses_of_posts()[first : first + POSTS_A_MAP]) if 0 < number < 100_000 else []
    if not rows:
        raise Http404
    return _xml("urlset", "url", ((reverse("blog:post", args=[slug]), changed) for slug, changed in rows))


def _xml(root: str, entry: str, places: Iterable[tuple[str, datetime | None]]) -> HttpResponse:
    lines = [f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{_NAMESPACE}">']
    for path, changed in places:
        told = f"<lastmod>{changed:%Y-%m-%dT%H:%M:%SZ}</lastmod>" if changed else ""
        lines.append(f"<{entry}><loc>{escape(absolute(path))}</loc>{told}</{entry}>")
    lines.append(f"</{root}>\n")
    return HttpResponse("\n".join(lines), content_type="application/xml")
