"""What `manage cleanup` may remove of pictures: files that belong to none, as a crash may leave them behind."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from django.core.files.storage import storages
from django.utils import timezone

from images.queries import ORPHAN_AGE, orphaned_files

# An example, how it's removed, how many things it is, and their bytes.
Piece = tuple[str, Callable[[], None], int, int]


def orphans(age: timedelta | None) -> Iterator[Piece]:
    """Files of pictures that belong to none, after an hour at least."""
    age = max(age or ORPHAN_AGE, ORPHAN_AGE)
    return pieces_of(orphaned_files(age=age), age)


def pieces_of(files: Iterable[tuple[str, str]], age: timedelta) -> Iterator[Piece]:
    """Return each file, given by its storage's alias and name, as a piece of rubbish."""
    before = (timezone.now() - age).timestamp()
    for alias, name in files:
        path = Path(storages[alias].path(name))
        if path.is_file():
            yield name, partial(_remove, path, before), 1, path.stat().st_size


def _remove(path: Path, before: float) -> None:
    # One that was written anew since it was found is somebody's now.
    if path.is_file() and path.stat().st_mtime < before:
        path.unlink(missing_ok=True)


KINDS = {"picture-files": orphans}
