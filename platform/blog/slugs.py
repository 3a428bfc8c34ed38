"""Addresses of posts, made from their titles."""

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from django.utils.text import slugify

from blog import limits
from blog.models import OldAddress, Post

# What stands in the same place of an address: /blog/new/ and the like, now or soon.
RESERVED = frozenset(
    {
        "archive",
        "author",
        "authors",
        "categories",
        "category",
        "comments",
        "drafts",
        "edit",
        "feed",
        "following",
        "media",
        "moderation",
        "new",
    }
    | {"page", "posts", "preview", "search", "tag", "tags"}
)
_VERSION_DOT = re.compile(r"(?<=\w)\.(?=\w)")


def slug_of(title: str) -> str:
    """Return `title` as a slug, not necessarily free: "Rust 1.10" gives `rust-1-10`, unlike "Rust 11.0"."""
    slug = slugify(_VERSION_DOT.sub("-", title))[: limits.SLUG_CHARACTERS].strip("-_")
    return slug or "post"


def free_slug(title: str, *, hint: str = "", but_not: AbstractSet[str] = RESERVED) -> str:
    """Return a slug for `title` that no post has: with `hint` added where the plain one is taken, then a number.

    Another writer may take it before it's stored; the database's constraint decides.
    """
    return next(slug for slug in _candidates(title, hint) if slug not in but_not and not is_taken(slug))


def _candidates(title: str, hint: str) -> Iterator[str]:
    slug = slug_of(title)
    yield slug
    if hint:
        slug = _with(slug, hint)
        yield slug
    number = 2
    while True:
        yield _with(slug, str(number))
        number += 1


def _with(slug: str, ending: str) -> str:
    return f"{slug[: limits.SLUG_CHARACTERS - len(ending) - 1]}-{ending}"


def is_taken(slug: str, *, but_for: Post | None = None) -> bool:
    """Whether a post has the slug, or had it: who kept the old link would come to another's post."""
    has, had = Post.objects.filter(slug=slug), OldAddress.objects.filter(path=path_of(slug))
    if but_for is not None:
        has, had = has.exclude(pk=but_for.pk), had.exclude(post=but_for)
    return has.exists() or had.exists()


def path_of(slug: str) -> str:
    """Return the address of a post as old addresses are kept: without slashes around it."""
    return f"blog/{slug}"
