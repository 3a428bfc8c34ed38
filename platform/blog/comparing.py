"""A post as it was and as it is, side by side: what differs, field by field and line by line."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import unified_diff

from audit.reading import diffs
from audit.reading.diffs import Diff
from blog import revisions
from blog.models import Post

_TEXTS = ("title", "description", "body", "category", "slug", "status")


@dataclass(frozen=True, slots=True)
class Version:
    """What a post said: after an event, or now, where `id` is None. `category` is a slug, `tags` are names."""

    id: int | None
    at: datetime
    title: str
    description: str
    body: str
    category: str
    tags: tuple[str, ...]
    slug: str
    status: str


def version_at(post: Post, event_id: int) -> Version:
    """Return what the post said after an event of its.

    Raises:
        Http404: the ledger has no such change of this post.
    """
    event = revisions.event_of(post, event_id)
    was, tags = revisions.text_after(post, event)
    return _version(event.pk, event.recorded_at, was, revisions.category_slug(was), tags)


def version_now(post: Post) -> Version:
    """Return what the post says."""
    category = post.category.slug if post.category else ""
    return _version(None, post.updated_at, post, category, [tag.name for tag in post.tags.all()])


def differences(old: Version, new: Version) -> list[Diff]:
    """Return how each field went from one to the other."""
    found = [
        diffs.between(name, getattr(old, name), getattr(new, name))
        for name in _TEXTS
        if getattr(old, name) != getattr(new, name)
    ]
    removed, added = set(old.tags) - set(new.tags), set(new.tags) - set(old.tags)
    if removed or added:
        found.append(Diff("tags", "members", removed=tuple(sorted(removed)), added=tuple(sorted(added))))
    return found


def unified(old: Version, new: Version) -> str:
    """Return the difference of the two texts as `diff -u` writes it; empty where they are the same."""
    return "".join(_lines(old, new))


def _lines(old: Version, new: Version) -> Iterator[str]:
    before, after = (version.body.splitlines(keepends=True) for version in (old, new))
    for line in unified_diff(before, after, _name(old), _name(new), old.at.isoformat(), new.at.isoformat()):
        # Texts end without a line feed; `diff` says so, and each line stays one.
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _name(version: Version) -> str:
    return "now" if version.id is None else f"revision {version.id}"


def _version(event_id: int | None, at: datetime, post: Post, category: str, tags: list[str]) -> Version:
    return Version(
        id=event_id,
        at=at,
        title=post.title,
        description=post.description or "",
        body=post.body_markdown,
        category=category,
        tags=tuple(sorted(tags)),
        slug=post.slug,
        status=post.status,
    )
