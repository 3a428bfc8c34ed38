"""What `manage cleanup` may remove of the blog: files of images that belong to no post, texts that weren't saved."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.utils import timezone

from blog import limits
from blog.models import Image, PendingCopy
from images.queries import ORPHAN_AGE
from images.rubbish import Piece, pieces_of

_FOLDER = "blog"


def orphans(age: timedelta | None) -> Iterator[Piece]:
    """Files of posts' images that belong to none, after an hour at least."""
    age = max(age or ORPHAN_AGE, ORPHAN_AGE)
    before = (timezone.now() - age).timestamp()
    root = Path(default_storage.path(""))
    # Before the rows are read: what is written meanwhile isn't in it.
    stored = [path for path in sorted((root / _FOLDER).rglob("*")) if path.is_file() and path.stat().st_mtime < before]
    names = [path.relative_to(root).as_posix() for path in stored]
    known = set(Image.objects.values_list("file", flat=True))
    return pieces_of((("default", name) for name in names if name not in known), age)


def pending_copies(age: timedelta | None) -> QuerySet[PendingCopy]:
    """What people typed into a post's editor and neither saved nor threw away, after 30 days."""
    kept = age or timedelta(days=limits.PENDING_DAYS)
    return PendingCopy.objects.filter(saved_at__lt=timezone.now() - kept)


KINDS = {"post-files": orphans, "pending-copies": pending_copies}
