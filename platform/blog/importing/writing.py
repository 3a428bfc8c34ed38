"""One document into the database: all of it, or nothing."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import slugify

from accounts.models import User
from blog import limits
from blog.actions.addresses import lead_here
from blog.actions.posts import insert_with_free_slug
from blog.actions.texts import checked_description, checked_title, normalised, set_body
from blog.errors import ImportFileError
from blog.importing.bundles import Bundle, read_image
from blog.importing.documents import Document
from blog.models import Category, Image, Post, Status, image_path
from blog.sanitizing import Picture
from blog.slugs import path_of
from blog.taxonomy import tags_named

Outcome = Literal["created", "updated", "unchanged"]

_LONGEST_NAME = 150
_storage = Image._meta.get_field("file").storage


@dataclass(slots=True)
class Written:
    """What became of a document."""

    outcome: Outcome
    images: int = 0


def write_document(document: Document, bundle: Bundle, *, is_dry_run: bool = False) -> Written:
    """Create the document's post, or make it what the document says; unchanged, nothing is written.

    A post that exists keeps its slug and whether it's published: that was decided here, not in its source. Of a dry
    run nothing stays, and yet all was tried.

    Raises:
        ImportFileError: an image or an author's name isn't acceptable.
        InvalidError: a text isn't.
    """
    with _files_kept_on_commit(is_dry_run) as stored, transaction.atomic():
        post = _known(document)
        written = _update(post, document, bundle, stored) if post else _create(document, bundle, stored)
        if is_dry_run:
            transaction.set_rollback(True)
    return written


def known_identities() -> set[str]:
    """Return by what the documents of all posts are known: where they came from, or their address here."""
    rows = Post.objects.values_list("source_path", "slug").iterator()
    return {source or path_of(slug) for source, slug in rows}


def _known(document: Document) -> Post | None:
    """Return the document's post, locked: imported from there, or written here and exported from its address."""
    posts = Post.objects.select_for_update()
    imported = posts.filter(source_path=document.identity).first()
    if imported or not document.is_exported or document.identity != path_of(document.slug):
        return imported
    return posts.filter(source_path__isnull=True, slug=document.slug).first()


@contextmanager
def _files_kept_on_commit(is_dry_run: bool) -> Iterator[list[str]]:
    """Give a list for the names of stored files; they are removed again unless the block ends well."""
    stored: list[str] = []
    is_kept = False
    try:
        yield stored
        is_kept = not is_dry_run
    finally:
        if not is_kept:
            delete_files(stored)


def delete_files(names: list[str]) -> None:
    """Remove stored files of images."""
    for name in names:
        _storage.delete(name)


def new_post(document: Document, bundle: Bundle, stored: list[str]) -> tuple[Post, list[Image]]:
    """Return an unsaved post, without author, category and slug, and its images, whose files are stored."""
    images = _store_new(bundle, {}, stored)
    now = timezone.now()
    post = Post(
        title=checked_title(document.title),
        description=checked_description(document.description),
        status=Status.DRAFT if document.is_draft else Status.PUBLISHED,
        published_at=document.published_at,
        created_at=document.published_at or now,
        updated_at=document.published_at or now,
        source_path=document.identity,
    )
    set_body(post, document.body, html=bundle.html, pictures=lambda: _pictures(images))
    return post, images


def _create(document: Document, bundle: Bundle, stored: list[str]) -> Written:
    author, *coauthors = users_of(document)
    post, images = new_post(document, bundle, stored)
    post.author, post.category = author, category_named(document.category)
    hint = f"{document.published_at:%Y-%m-%d}" if document.published_at else ""
    insert_with_free_slug(post, source=document.slug, hint=hint)
    for image in images:
        image.post = post
    Image.objects.bulk_create(images)
    if coauthors:
        post.coauthors.set(coauthors)
    if document.tags:
        post.tags.set(tags_named(document.tags))
    lead_here(post, document.aliases)
    return Written("created", len(images))


def _update(post: Post, document: Document, bundle: Bundle, stored: list[str]) -> Written:
    author, *coauthors = users_of(document)
    existing = {image.name: image for image in post.images.all()}
    checksums = {name: image.checksum_sha256 for name, image in existing.items()}
    renewed = _store_new(bundle, checksums, stored)
    for image in renewed:
        image.post = post
    # What the text still wants but is missing beside it is kept.
    gone = [image for name, image in existing.items() if name not in bundle.wanted]
    replaced = [existing[image.name] for image in renewed if image.name in existing]
    for image in [*gone, *replaced]:
        transaction.on_commit(partial(_storage.delete, str(image.file)), robust=True)
        image.delete()
    Image.objects.bulk_create(renewed)

    values: dict[str, Any] = {
        "title": checked_title(document.title),
        "description": checked_description(document.description),
        "author": author,
    }
    if document.category:  # what was chosen here stays where the source says nothing
        values["category"] = category_named(document.category)
    if post.is_published and not document.is_draft:
        values["published_at"] = document.published_at
    fields = [name for name, value in values.items() if getattr(post, name) != value]
    for name in fields:
        setattr(post, name, values[name])
    is_text_new = normalised(document.body) != post.body_markdown
    if is_text_new or gone or renewed:
        set_body(post, document.body, html=bundle.html, pictures=lambda: _pictures(list(post.images.all())))
        fields += ["body_markdown", "body_html", "excerpt"]
    if fields:
        post.updated_at = timezone.now()
        post.save(update_fields=[*fields, "updated_at"])
    are_coauthors_new = set(post.coauthors.all()) != set(coauthors)
    if are_coauthors_new:
        post.coauthors.set(coauthors)
    tags = tags_named(document.tags)
    are_tags_new = bool(tags) and set(post.tags.all()) != set(tags)
    if are_tags_new:
        post.tags.set(tags)
    are_aliases_new = lead_here(post, document.aliases)
    is_new = fields or are_coauthors_new or are_tags_new or are_aliases_new
    return Written("updated" if is_new else "unchanged", len(renewed))


def _store_new(bundle: Bundle, known_checksums: Mapping[str, str], stored: list[str]) -> list[Image]:
    """Store the images that aren't known already, and return them, not yet in the database."""
    images = []
    for name, path in bundle.found.items():
        # Taken out, so that what waits for others holds no files in memory.
        checked = bundle.checked.pop(name, None) or read_image(name, path, known_checksums.get(name, ""))
        if checked is None:
            continue
        file_name = _storage.save(image_path(None, f"image{checked.suffix}"), ContentFile(checked.data))
        stored.append(file_name)
        images.append(
            Image(
                file=file_name,
                name=name,
                width=checked.width,
                height=checked.height,
                checksum_sha256=checked.checksum_sha256,
            )
        )
    return images


def _pictures(images: list[Image]) -> dict[str, Picture]:
    return {image.name: Picture(image.file.url, image.width, image.height) for image in images}


def category_named(name: str) -> Category | None:
    """Return the category of this name, which is made where there's none; None without a name."""
    if not name:
        return None
    slug = slugify(name)[: limits.CATEGORY_CHARACTERS]
    if not slug or len(name) > limits.CATEGORY_CHARACTERS:
        raise ImportFileError(f"its category {name[:20]!r} has no letters, or too many; write a word")
    if known := Category.objects.filter(Q(slug=slug) | Q(name=name)).first():
        return known
    return Category.objects.create(slug=slug, name=name)


def users_of(document: Document) -> list[User]:
    """Return an account for each author, the existing one where there is; new ones are inactive and can't log in."""
    return list(users_named(author_names(document)).values())


def author_names(document: Document) -> dict[str, str]:
    """Return the name of each author by their username."""
    names: dict[str, str] = {}
    for name, given in zip_longest(document.authors, document.usernames, fillvalue=""):
        username = given or slugify(name)[:_LONGEST_NAME] or slugify(name, allow_unicode=True)[:_LONGEST_NAME]
        if not username or "\x00" in name:
            raise ImportFileError(f"its author {name!r} has no letters; write the name")
        names.setdefault(username, name)
    return names


def users_named(names: Mapping[str, str]) -> dict[str, User]:
    """Return the account of each username, in their order; those that aren't there are made with these names."""
    known = {user.username: user for user in User.objects.filter(username__in=list(names))}
    return {username: known.get(username) or _new_user(username, name) for username, name in names.items()}


def _new_user(username: str, name: str) -> User:
    user = User(username=username, display_name=name[:_LONGEST_NAME], is_active=False)
    user.set_unusable_password()
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError as error:
        raise ImportFileError(f"its author {username[:80]!r} can't be a username; use letters") from error
    user.save()
    return user
