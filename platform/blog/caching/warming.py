"""Pages made before anybody asks: home, the archive, and the newest posts."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from django.http import Http404
from django.urls import reverse

from blog import limits, queries
from blog.caching.counts import published_count
from caching import pages
from caching.errors import NotForAllError
from telemetry.database import repeats
from telemetry.logs import get_logger

log = get_logger(__name__)
Progress = Callable[[int, int, str], None]

POSTS = 20
# What beat finds younger it leaves alone: it comes again before that is over.
_RENEWED_AFTER_SECONDS = 150


@dataclass(slots=True)
class Report:
    """What a warming did; `failed` maps addresses to what was wrong."""

    found: int = 0
    made: int = 0
    kept: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def warm_cache(*, posts: int = POSTS, progress: Progress | None = None) -> Report:
    """Make what isn't there or is half over: home, the archive's pages of so many newest posts, and these posts.

    `progress` is called before each page with the number done, the number of all and the address.

    Raises:
        AwayError: Redis can't be asked.
    """
    begun = time.monotonic()
    addresses = list(_addresses(posts))
    report = Report(found=len(addresses))
    for number, address in enumerate(addresses):
        if progress:
            progress(number, len(addresses), address)
        repeats.begin_anew()
        try:
            if pages.warm(address, older_than_seconds=_RENEWED_AFTER_SECONDS):
                report.made += 1
            else:
                report.kept += 1
        except Http404:  # unpublished since we listed it
            report.found -= 1
        except NotForAllError as error:
            report.failed[address] = str(error)
    if progress:
        progress(len(addresses), len(addresses), "")
    report.seconds = round(time.monotonic() - begun, 3)
    log.info("blog.cache_warmed", made=report.made, kept=report.kept, failed=len(report.failed))
    return report


def _addresses(posts: int) -> list[str]:
    archive = reverse("blog:archive")
    last_page = max(1, -(-min(posts, published_count()) // limits.POSTS_PER_PAGE))
    lists = [reverse("blog:home"), archive, *(f"{archive}?page={number}" for number in range(2, last_page + 1))]
    return lists + [post.get_absolute_url() for post in queries.published_posts()[:posts]]
