"""Categories and tags by the words that people write for them."""

from collections.abc import Iterable

from django.utils.text import slugify

from blog import limits
from blog.errors import InvalidError
from blog.models import Category, Tag

# What a slug would lose, and with it the difference between C, C++ and C#.
_SPELT_OUT = str.maketrans({"+": "-plus", "#": "-sharp", "&": "-and-"})


def tag_slug(name: str) -> str:
    """Return the slug by which a tag is known, however it's written; empty where nothing of it is a letter."""
    return slugify(name.translate(_SPELT_OUT), allow_unicode=True)[: limits.TAG_CHARACTERS].strip("-_")


def tags_named(names: Iterable[str]) -> list[Tag]:
    """Return the tags of these names, each once; those that are new are made, in the caller's transaction.

    Raises:
        InvalidError: on `tags`, where they are too many, or one has no letters or is too long.
    """
    wanted: dict[str, str] = {}
    for given in names:
        name = " ".join(given.replace(",", " ").lstrip("#").split())
        if not name:
            continue
        slug = tag_slug(name)
        if not slug or "\x00" in name:
            raise InvalidError(tags=f"The tag “{name[:20]}” has no letters; write a word.")
        if len(name) > limits.TAG_CHARACTERS:
            raise InvalidError(tags=f"“{name[:20]}…” is longer than {limits.TAG_CHARACTERS} characters; shorten it.")
        wanted.setdefault(slug, name)
    if len(wanted) > limits.TAGS_OF_A_POST:
        raise InvalidError(tags=f"These are {len(wanted)} tags; at most {limits.TAGS_OF_A_POST} are accepted.")
    known = {tag.slug: tag for tag in Tag.objects.filter(slug__in=wanted)}
    # In one order, so that two writers of the same new tags don't wait for each other.
    for slug in sorted(wanted.keys() - known.keys()):
        known[slug], _ = Tag.objects.get_or_create(slug=slug, defaults={"name": wanted[slug]})
    return [known[slug] for slug in wanted]


def category_with_slug(slug: str) -> Category | None:
    """Return the category; None where `slug` is empty.

    Raises:
        InvalidError: on `category`, where there's none of that slug.
    """
    if not slug:
        return None
    if "\x00" not in slug and (found := Category.objects.filter(slug=slug).first()):
        return found
    slugs = ", ".join(Category.objects.values_list("slug", flat=True)) or "none yet"
    raise InvalidError(category=f"There is no category “{slug[:80]}”. Categories are: {slugs}.")
