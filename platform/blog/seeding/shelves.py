"""Categories and tags of seeded posts. Nothing in such a row tells who made it, but the ledger does."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

import audit
from audit.models import Event
from blog.models import Category, Tag
from blog.seeding.stock import templates
from blog.taxonomy import tag_slug, tags_named

_REASON = "seed_data: what its posts are filed under"


@dataclass(frozen=True, slots=True)
class Shelves:
    """The ids of categories by topic, and of tags by name."""

    categories: tuple[int, ...]
    tags: dict[str, int]


@transaction.atomic
def seed_shelves() -> tuple[Shelves, Counter[str]]:
    """Return a category for each topic and tags for its words, and how many were missing and are made."""
    before = Counter(categories=Category.objects.count(), tags=Tag.objects.count())
    categories: list[int] = []
    tags: dict[str, int] = {}
    with audit.reason(_REASON):
        for topic in templates().topics:
            # By the name, as two of one name can't be.
            about = {"slug": topic["name"].lower(), "description": topic["description"]}
            category, _ = Category.objects.get_or_create(name=topic["name"], defaults=about)
            categories.append(category.pk)
            by_slug = {tag.slug: tag.pk for tag in tags_named(topic["things"])}
            tags |= {name: by_slug[tag_slug(name)] for name in topic["things"]}
    made = Counter(categories=Category.objects.count(), tags=Tag.objects.count()) - before
    return Shelves(tuple(categories), tags), made


@transaction.atomic
def delete_seeded_shelves() -> Counter[str]:
    """Delete the categories and tags that `seed_shelves` made and no post has any more; return how many."""
    return Counter(
        categories=_delete_own(Category.objects.filter(posts__isnull=True)),
        tags=_delete_own(Tag.objects.filter(posts__isnull=True)),
    )


def _delete_own(unused: QuerySet[Any]) -> int:
    label = unused.model._meta.label
    created = Event.objects.filter(
        action=f"{label.lower()}.created",
        object_type=label.lower(),
        object_id__in=[str(pk) for pk in unused.values_list("pk", flat=True)],
        context__reason=_REASON,
    )
    own = [int(pk) for pk in created.values_list("object_id", flat=True)]
    _, rows = unused.model._base_manager.filter(pk__in=own).delete()
    return int(rows.get(label, 0))
