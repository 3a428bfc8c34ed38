"""Where posts are found: a new address, and those that they had before, which lead to it for good."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.core.validators import validate_slug

from blog import limits
from blog.errors import InvalidError
from blog.models import OldAddress, Post
from blog.slugs import RESERVED, is_taken, path_of


def move_post(post: Post, slug: str) -> bool:
    """Give a locked post another slug, and let the old one lead to it; doesn't save the post.

    Returns whether it's another one.

    Raises:
        InvalidError: on `slug`, where it's none, reserved, or another post has or had it.
    """
    slug = slug.strip()
    if slug == post.slug:
        return False
    try:
        validate_slug(slug)
    except ValidationError as error:
        raise InvalidError(slug="This needs letters, digits, hyphens and underscores, and nothing else.") from error
    if len(slug) > limits.SLUG_CHARACTERS:
        raise InvalidError(slug=f"This has {len(slug)} characters; at most {limits.SLUG_CHARACTERS} are accepted.")
    if slug in RESERVED:
        raise InvalidError(slug="This address is the blog's own; choose another.")
    if is_taken(slug, but_for=post):
        raise InvalidError(slug="Another post has or had this address; choose another.")
    OldAddress.objects.filter(post=post, path=path_of(slug)).delete()
    OldAddress.objects.get_or_create(path=path_of(post.slug), defaults={"post": post})
    post.slug = slug
    return True


def lead_here(post: Post, paths: Iterable[str]) -> bool:
    """Let addresses of an old site lead to a stored post; returns whether any is new.

    Raises:
        InvalidError: on `aliases`, where one leads to another post.
    """
    wanted = {path.strip("/") for path in paths} - {"", path_of(post.slug)}
    known = {old.path: old.post for old in OldAddress.objects.filter(path__in=wanted).select_related("post")}
    for path, other in known.items():
        if other.pk != post.pk:
            raise InvalidError(aliases=f"/{path} leads to “{other.title}” already; remove it from one of them")
    new = sorted(wanted - known.keys())
    for path in new:
        OldAddress.objects.create(post=post, path=path)
    return bool(new)
