"""An import from start to end, and what it tells of itself."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import DataError, IntegrityError

from blog.errors import BlogError
from blog.importing.bundles import images_of, markdown_files, require_inside
from blog.importing.documents import NoFrontMatterError, read_document
from blog.importing.writing import write_document

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Remark:
    """What is to say of one file, by its path below the folder of the import."""

    file: str
    message: str


@dataclass(slots=True)
class Report:
    """What an import did. `failed` files were not imported, and are why the import as a whole failed."""

    found: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    images: int = 0
    skipped: list[Remark] = field(default_factory=list)
    failed: list[Remark] = field(default_factory=list)
    warnings: list[Remark] = field(default_factory=list)

    @property
    def imported(self) -> int:
        """How many posts are now here as their files say."""
        return self.created + self.updated + self.unchanged


def import_directory(
    root: Path, *, default_author: str = "", is_dry_run: bool = False, progress: Progress | None = None
) -> Report:
    """Import every post below `root`, each in a transaction of its own, and report.

    A file that isn't acceptable is left out and reported; the others are imported all the same.

    Args:
        default_author: who wrote what names no author.
        is_dry_run: try everything, keep nothing.
        progress: called before each file with the number done, the number of all and the file's name.

    Raises:
        NotADirectoryError: `root` is none.
    """
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is no folder")
    files = markdown_files(root)
    report = Report(found=len(files))
    seen: dict[str, str] = {}
    for number, file in enumerate(files):
        name = os.fsencode(file.relative_to(root)).decode("utf-8", "backslashreplace")
        if progress:
            progress(number, len(files), name)
        try:
            _import_file(file, root, name, report, seen, default_author=default_author, is_dry_run=is_dry_run)
        except NoFrontMatterError:
            report.skipped.append(Remark(name, "no front matter"))
        except BlogError as error:
            report.failed.append(Remark(name, str(error)))
        except (DataError, IntegrityError) as error:
            report.failed.append(Remark(name, f"the database refused it: {' '.join(str(error).split())}"))
    if progress:
        progress(len(files), len(files), "")
    return report


def _import_file(file: Path, root: Path, name: str, report: Report, seen: dict[str, str], **options: Any) -> None:
    require_inside(file, root, what="the file")
    document = read_document(file, root, default_author=options["default_author"])
    bundle = images_of(document)
    if first := seen.get(document.identity):
        raise BlogError(f"it has the same path as {first}; give it another")
    written = write_document(document, bundle, is_dry_run=options["is_dry_run"])
    seen[document.identity] = name
    setattr(report, written.outcome, getattr(report, written.outcome) + 1)
    report.images += written.images
    report.warnings += [Remark(name, warning) for warning in bundle.warnings]
