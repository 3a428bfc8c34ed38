"""New posts by the hundred: a few statements for all of them, in one transaction.

Where anything is wrong with one of them, or somebody was faster, nothing of the batch stays, and each document is
written by itself, which tells what is wrong with which.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db import DataError, IntegrityError, transaction

from accounts.models import User
from blog import limits
from blog.errors import BlogError
from blog.importing.bundles import Bundle
from blog.importing.documents import Document
from blog.importing.writing import (
    Written,
    author_names,
    category_named,
    delete_files,
    new_post,
    users_named,
    write_document,
)
from blog.models import Category, Image, OldAddress, Post, Tag
from blog.slugs import RESERVED, free_slug, path_of, slug_of
from blog.taxonomy import tag_slug, tags_named

_POSTS_A_BATCH = 100


class _OneByOneError(Exception):
    """This batch needs a closer look at each document."""


@dataclass(slots=True)
class _Waiting:
    name: str
    document: Document
    bundle: Bundle
    post: Post
    images: list[Image]
    stored: list[str]


@dataclass(slots=True)
class Batch:
    """Documents that become new posts; `results` has what became of each, by its file's name."""

    results: list[tuple[str, Bundle, Written | Exception]] = field(default_factory=list)
    _waiting: list[_Waiting] = field(default_factory=list)

    def add(self, name: str, document: Document, bundle: Bundle) -> None:
        """Render a document and store its images; write what waits where that's enough.

        Raises:
            BlogError: the document isn't acceptable.
        """
        stored: list[str] = []
        try:
            post, images = new_post(document, bundle, stored)
        except BaseException:
            delete_files(stored)
            raise
        self._waiting.append(_Waiting(name, document, bundle, post, images, stored))
        if len(self._waiting) == _POSTS_A_BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            with transaction.atomic():
                _create(waiting)
        except (BlogError, DataError, IntegrityError, _OneByOneError):
            self.discard(waiting)
            self.results += [(one.name, one.bundle, _written(one)) for one in waiting]
        except BaseException:
            self.discard(waiting)
            raise
        else:
            self.results += [(one.name, one.bundle, Written("created", len(one.images))) for one in waiting]

    def discard(self, waiting: list[_Waiting] | None = None) -> None:
        """Remove the files of what won't be written, by default of all that waits."""
        for one in self._waiting if waiting is None else waiting:
            delete_files(one.stored)


def _written(one: _Waiting) -> Written | Exception:
    try:
        return write_document(one.document, one.bundle)
    except (BlogError, DataError, IntegrityError) as error:
        return error


def _create(waiting: list[_Waiting]) -> None:
    users = _users(one.document for one in waiting)
    categories: dict[str, Category | None] = {}
    tags = _tags(one.document for one in waiting)
    slugs = _free_slugs(waiting)
    for one in waiting:
        document = one.document
        if document.category not in categories:
            categories[document.category] = category_named(document.category)
        one.post.author = users[document.identity][0]
        one.post.category = categories[document.category]
        one.post.slug = slugs[one.document.identity]
    Post.objects.bulk_create(one.post for one in waiting)
    for one in waiting:
        for image in one.images:
            image.post = one.post
    Image.objects.bulk_create(image for one in waiting for image in one.images)
    Post.coauthors.through.objects.bulk_create(
        Post.coauthors.through(post_id=one.post.pk, user_id=user.pk)
        for one in waiting
        for user in users[one.document.identity][1:]
    )
    Post.tags.through.objects.bulk_create(
        Post.tags.through(post_id=one.post.pk, tag_id=key)
        for one in waiting
        for key in dict.fromkeys(tags[tag_slug(name)].pk for name in one.document.tags)
    )
    OldAddress.objects.bulk_create(_addresses(waiting))


def _users(documents: Iterable[Document]) -> dict[str, list[User]]:
    """Return the authors of each document."""
    usernames: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for document in documents:
        named = author_names(document)
        usernames[document.identity] = list(named)
        for username, name in named.items():
            names.setdefault(username, name)
    users = users_named(names)
    return {identity: [users[username] for username in named] for identity, named in usernames.items()}


def _tags(documents: Iterable[Document]) -> dict[str, Tag]:
    names: dict[str, str] = {}
    for document in documents:
        if len(document.tags) > limits.TAGS_OF_A_POST:
            raise _OneByOneError
        for name in document.tags:
            names.setdefault(tag_slug(name), name)
    wanted = list(names.values())
    found: dict[str, Tag] = {}
    for first in range(0, len(wanted), limits.TAGS_OF_A_POST):
        found |= {tag.slug: tag for tag in tags_named(wanted[first : first + limits.TAGS_OF_A_POST])}
    if found.keys() != names.keys():
        raise _OneByOneError
    return found


def _free_slugs(waiting: list[_Waiting]) -> dict[str, str]:
    """Return a slug for each document, as `free_slug` would choose them one after the other."""
    plain = {one.document.identity: slug_of(one.document.slug) for one in waiting}
    taken = set(Post.objects.filter(slug__in=plain.values()).values_list("slug", flat=True)) | RESERVED
    taken_paths = set(
        OldAddress.objects.filter(path__in=[path_of(slug) for slug in plain.values()]).values_list("path", flat=True)
    )
    chosen: dict[str, str] = {}
    for one in waiting:
        slug = plain[one.document.identity]
        if slug in taken or path_of(slug) in taken_paths:
            hint = f"{one.document.published_at:%Y-%m-%d}" if one.document.published_at else ""
            slug = free_slug(one.document.slug, hint=hint, but_not=taken)
        taken.add(slug)
        chosen[one.document.identity] = slug
    return chosen


def _addresses(waiting: list[_Waiting]) -> list[OldAddress]:
    new = [
        OldAddress(post=one.post, path=path)
        for one in waiting
        for path in sorted({path.strip("/") for path in one.document.aliases} - {"", path_of(one.post.slug)})
    ]
    paths = [address.path for address in new]
    if len(set(paths)) < len(paths) or OldAddress.objects.filter(path__in=paths).exists():
        raise _OneByOneError
    return new
