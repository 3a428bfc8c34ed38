"""Addresses of posts, made from their titles."""

import re
from collections.abc import Iterator

from django.utils.text import slugify

from blog import limits
from blog.models import Post

# What stands in the same place of an address: /blog/new/ and the like, now or soon.
RESERVED = frozenset(
    {"archive", "author", "authors", "categories", "category", "comments", "drafts", "edit", "feed", "media", "new"}
    | {"page", "posts", "preview", "search", "tag", "tags"}
)
_VERSION_DOT = re.compile(r"(?<=\w)\.(?=\w)")


def slug_of(title: str) -> str:
    """Return `title` as a slug, not necessarily free: "Rust 1.10" gives `rust-1-10`, unlike "Rust 11.0"."""
    slug = slugify(_VERSION_DOT.sub("-", title))[: limits.SLUG_CHARACTERS].strip("-_")
    return slug or "post"


def free_slug(title: str, *, hint: str = "") -> str:
    """Return a slug for `title` that no post has: with `hint` added where the plain one is taken, then a number.

    Another writer may take it before it's stored; the database's constraint decides.
    """
    return next(slug for slug in _candidates(title, hint) if slug not in RESERVED and not _is_taken(slug))


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


def _is_taken(slug: str) -> bool:
    return Post.objects.filter(slug=slug).exists()
