"""What became of a post, out of the ledger: there's no other history of it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from django.http import Http404

import audit
from accounts.models import User
from audit.history import states
from audit.models import Event
from audit.reading import cursors, diffs
from audit.reading.diffs import Diff
from blog.models import Category, Post, Tag

TYPE = "blog.post"
AUTOSAVE = "autosave"  # the reason of what was saved while it was typed
_CHANGES = {f"{TYPE}.created", f"{TYPE}.updated"}
# What people call it; all else of a post is derived, or of no interest to its authors.
_FIELDS = {
    "title": "Title",
    "description": "Description",
    "body_markdown": "Text",
    "category": "Category",
    "category_id": "Category",
    "tags": "Tags",
    "coauthors": "Further authors",
    "slug": "Address",
    "status": "Status",
    "publish_at": "To be published at",
    "review_note": "Review",
}
_NAMED: dict[str, Any] = {"category": Category, "category_id": Category, "tags": Tag, "coauthors": User}
# What programs call it, by what people call it.
API_NAMES = {
    label: {"body_markdown": "body", "category_id": "category"}.get(name, name) for name, label in _FIELDS.items()
}
_TEXT = {"title", "description", "body_markdown", "category", "category_id", "tags"}


@dataclass(slots=True)
class Revision:
    """One change of a post: what was typed in one go, however often it saved itself, is one."""

    id: int  # of the event that was the last of it
    when: datetime
    who: str
    reason: str
    operation: str
    is_first: bool
    changes: dict[str, list[Any]] = field(default_factory=dict)
    diffs: list[Diff] = field(default_factory=list)

    @property
    def is_autosave(self) -> bool:
        """Whether it was saved while it was typed."""
        return self.reason == AUTOSAVE

    @property
    def is_of_text(self) -> bool:
        """Whether there's something to restore."""
        return not _TEXT.isdisjoint(self.changes)


def revisions_of(post: Post, *, before: str = "", limit: int = 30) -> tuple[list[Revision], str]:
    """Return a post's revisions, newest first, and the cursor behind which there are more; empty where there are none.

    Raises:
        CursorError: `before` is no cursor.
    """
    page = states.versions(TYPE, str(post.pk), cursors.parse(before) if before else None, limit=limit)
    found = [one for one in _joined(page.events) if one.changes]
    names = _names_of(found)
    for one in found:
        one.diffs = list(_diffs(one, names))
    return found, str(page.next) if page.next else ""


def event_of(post: Post, event_id: int) -> Event:
    """Return a change of the post.

    Raises:
        Http404: the ledger has no such change of this post.
    """
    found = Event.objects.filter(pk=event_id, object_type=TYPE, object_id=str(post.pk), action__in=_CHANGES)
    event: Event | None = found.first() if event_id < 2**63 else None
    if event is None:
        raise Http404
    return event


def text_at(post: Post, event_id: int) -> tuple[Post, list[str]]:
    """Return the post as it was after an event of its, not saved, and the names of the tags that it had.

    Raises:
        Http404: the ledger has no such change of this post.
    """
    return text_after(post, event_of(post, event_id))


def text_after(post: Post, event: Event) -> tuple[Post, list[str]]:
    """Return the same of an event that is the post's."""
    was = audit.as_of(Post, event.recorded_at).get(pk=post.pk)
    members: dict[str, list[int]] = was.audit_many_to_many  # type: ignore[attr-defined]
    return was, list(Tag.objects.filter(pk__in=members.get("tags", ())).values_list("name", flat=True))


def category_slug(post: Post) -> str:
    """Return the slug of the category that an earlier post stood in; empty where it's gone by now."""
    return Category.objects.filter(pk=post.category_id or 0).values_list("slug", flat=True).first() or ""


def _joined(events: Iterable[Event]) -> Iterator[Revision]:
    """Each change as a revision; saves by themselves, one after another and by one person, as one."""
    last: Revision | None = None
    for event in events:  # newest first
        if event.action not in _CHANGES or event.outcome != "success":
            continue
        reason = str((event.context or {}).get("reason", ""))
        who = event.actor_label or ""
        goes_on = last is not None and reason == AUTOSAVE == last.reason and who == last.who and not last.is_first
        if last is None or not goes_on:
            if last is not None:
                yield last
            last = Revision(
                event.pk, event.recorded_at, who, reason, event.operation or "", event.action.endswith("created")
            )
        _take(last, event)
    if last is not None:
        yield last


def _take(revision: Revision, older: Event) -> None:
    for name, (before, after) in older.differences.items():
        if name not in _FIELDS or (older.action.endswith("created") and after in ("", None)):
            continue
        later = revision.changes.get(name)
        if later is None:
            revision.changes[name] = [before, after]
        elif name in ("tags", "coauthors"):
            revision.changes[name] = [_sum(before, later[0]), _sum(after, later[1])]
        else:
            later[0] = before


def _sum(one: Any, other: Any) -> list[Any]:
    return [*(one or ()), *(key for key in other or () if key not in (one or ()))]


def _names_of(revisions: list[Revision]) -> dict[str, dict[int, str]]:
    """The names that the keys in the changes stand for; what is gone keeps its key."""
    names: dict[str, dict[int, str]] = {}
    for name, model in _NAMED.items():
        keys = {key for one in revisions for side in one.changes.get(name, ()) for key in _keys(side)}
        rows = model.objects.in_bulk([key for key in keys if isinstance(key, int)]) if keys else {}
        names[name] = {key: getattr(row, "name", str(row)) for key, row in rows.items()}
    return names


def _keys(side: Any) -> list[Any]:
    return side if isinstance(side, list) else [] if side is None else [side]


def _diffs(revision: Revision, names: dict[str, dict[int, str]]) -> Iterator[Diff]:
    for name in (name for name in _FIELDS if name in revision.changes):
        before, after = revision.changes[name]
        if name in ("tags", "coauthors"):
            removed, added = (
                tuple(names[name].get(key, f"no. {key}") for key in islice(_keys(side), 100))
                for side in (before, after)
            )
            yield Diff(_FIELDS[name], "members", removed=removed, added=added)
        elif name in names:
            old, new = (", ".join(_called(side, names[name])) or None for side in (before, after))
            yield diffs.between(_FIELDS[name], old, new)
        elif before != after:
            yield diffs.between(_FIELDS[name], before, after)


def _called(side: Any, names: dict[int, str]) -> tuple[str, ...]:
    return tuple(names.get(key, f"no. {key}") for key in islice(_keys(side), 100))
