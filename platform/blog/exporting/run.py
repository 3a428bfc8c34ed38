"""The whole blog as a folder of Markdown files with front matter, which `import_posts` reads again.

Each post is a folder by its slug, with index.md and the post's images beside it. Comments, histories and pictures of
people's own libraries stay here; what waits for a review or its time is exported as a draft.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.utils.text import slugify

import audit
from blog.errors import ImportFileError
from blog.importing.bundles import require_inside
from blog.importing.run import Remark
from blog.models import OldAddress, Post
from blog.slugs import path_of

Progress = Callable[[int], None]
_POSTS_AT_ONCE = 200


@dataclass(slots=True)
class Exported:
    """What an export wrote; a warning tells what isn't there."""

    posts: int = 0
    images: int = 0
    warnings: list[Remark] = field(default_factory=list)


def posts_to_export() -> QuerySet[Post]:
    """Return all posts with all that is exported of them."""
    addresses = Prefetch("old_addresses", OldAddress.objects.order_by("path"))
    posts = Post.objects.select_related("author", "category")
    return posts.prefetch_related("coauthors", "tags", "images", addresses).order_by("id")


def export_posts(root: Path, *, progress: Progress | None = None) -> Exported:
    """Write all posts into a folder, and return what was written; the ledger knows of it.

    Raises:
        FileExistsError: there is something in the folder.
    """
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        raise FileExistsError(f"{root} is not empty; give a new folder")
    done = Exported()
    audit.record("blog.export.started", changes={"folder": str(root.absolute())})
    for post in posts_to_export().iterator(chunk_size=_POSTS_AT_ONCE):
        _write(root / post.slug, post, done)
        done.posts += 1
        if progress:
            progress(done.posts)
    audit.record("blog.export.finished", changes={"posts": done.posts, "images": done.images})
    return done


def _write(folder: Path, post: Post, done: Exported) -> None:
    folder.mkdir()
    # As it is, whatever line ends this system likes.
    (folder / "index.md").write_bytes(as_markdown(post).encode())
    for image in post.images.all():
        try:
            path = require_inside(folder / image.name, folder, what=f"image {image.name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            with image.file.open("rb") as file:
                path.write_bytes(file.read())
        except (OSError, ImportFileError) as error:
            done.warnings.append(Remark(post.slug, f"image {image.name} isn't exported: {error}"))
        else:
            done.images += 1
    if re.search(rf"\(/?{re.escape(settings.MEDIA_URL.strip('/'))}/", post.body_markdown):
        done.warnings.append(Remark(post.slug, "it shows pictures of somebody's library, which stay on this site"))


def as_markdown(post: Post) -> str:
    """Return a post as a file with YAML front matter."""
    front = yaml.safe_dump(_front(post), allow_unicode=True, sort_keys=False, width=10**6)
    return f"---\n{front}---\n\n{post.body_markdown}\n"


def _front(post: Post) -> dict[str, Any]:
    people = [post.author, *post.coauthors.all()]
    names, usernames = [user.name for user in people], [user.username for user in people]
    values: dict[str, Any] = {
        "title": post.title,
        "identity": post.source_path or path_of(post.slug),
        "slug": post.slug,
        "description": post.description,
        "authors": names,
        "usernames": usernames if usernames != [slugify(name) for name in names] else None,
        "date": post.published_at,
        "draft": None if post.is_published else True,
        "category": post.category.name if post.category else None,
        "tags": [tag.name for tag in post.tags.all()],
        "aliases": [old.path for old in post.old_addresses.all()],
    }
    return {name: value for name, value in values.items() if value}
