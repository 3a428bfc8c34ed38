"""An import from start to end, and what it tells of itself."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from django.db import DataError, IntegrityError

from blog.errors import BlogError
from blog.importing.batches import Batch
from blog.importing.bundles import Bundle, markdown_files
from blog.importing.documents import NoFrontMatterError
from blog.importing.preparing import Prepared, Source, prepared
from blog.importing.writing import Written, known_identities, write_document

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
    """Import every post below `root`, each whole or not at all, and report.

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
    known = frozenset(known_identities())
    running = _Run(report, known, is_dry_run)
    try:
        with prepared(Source(root, default_author, known), files) as givens:
            for number, file in enumerate(files):
                name = os.fsencode(file.relative_to(root)).decode("utf-8", "backslashreplace")
                if progress:
                    progress(number, len(files), name)
                try:
                    running.take(next(givens), name)
                except NoFrontMatterError:
                    report.skipped.append(Remark(name, "no front matter"))
                except (BlogError, DataError, IntegrityError) as error:
                    running.refuse(name, error)
        running.finish()
    finally:
        running.batch.discard()
    if progress:
        progress(len(files), len(files), "")
    return report


class _Run:
    """An import under way: what is new waits for others, what is here already is written at once."""

    def __init__(self, report: Report, known: frozenset[str], is_dry_run: bool) -> None:
        self.batch = Batch()
        self._report, self._known, self._is_dry_run = report, known, is_dry_run
        self._seen: dict[str, str] = {}

    def take(self, given: Prepared | BlogError, name: str) -> None:
        """Import one file, or have it wait; raises what is wrong with it."""
        if isinstance(given, BlogError):
            raise given
        document, bundle = given
        if first := self._seen.get(document.identity):
            raise BlogError(f"it has the same path as {first}; give it another")
        if self._is_dry_run or document.identity in self._known:
            self.finish()  # in the order of the files, since addresses are given away
            self._note(name, bundle, write_document(document, bundle, is_dry_run=self._is_dry_run))
        else:
            self.batch.add(name, document, bundle)
        self._seen[document.identity] = name
        self._tell()

    def finish(self) -> None:
        """Write what waits."""
        self.batch.flush()
        self._tell()

    def refuse(self, name: str, error: Exception) -> None:
        """Note that a file was not imported, and why."""
        said = " ".join(str(error).split())
        is_ours = isinstance(error, BlogError)
        self._report.failed.append(Remark(name, str(error) if is_ours else f"the database refused it: {said}"))

    def _tell(self) -> None:
        for name, bundle, written in self.batch.results:
            if isinstance(written, Written):
                self._note(name, bundle, written)
            else:
                self.refuse(name, written)
        self.batch.results.clear()

    def _note(self, name: str, bundle: Bundle, written: Written) -> None:
        report = self._report
        setattr(report, written.outcome, getattr(report, written.outcome) + 1)
        report.images += written.images
        report.warnings += [Remark(name, warning) for warning in bundle.warnings]
