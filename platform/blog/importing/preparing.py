"""Files made ready to be written: read, understood, rendered, their images decoded.

That is most of the work, and needs no database. Where there are many files and more than one core, it's done by other
processes, which are a little ahead: each gets its share of the files at its start, and gives them back in their order.
They know nothing of Django's settings, and end by themselves where nobody takes what they give.
"""

import fcntl
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from blog.errors import BlogError
from blog.importing.bundles import Bundle, bundle_of, require_inside
from blog.importing.documents import Document, read_document

# Another process takes a third of a second until it's of use.
_FEWEST_FILES = 200
_MOST_PROCESSES = 8
# It works on while a batch is written to the database: a pipe's own 64 kB are a dozen posts.
_AHEAD_BYTES = 1 << 20
# What another process runs; its arguments are where this one finds its modules.
HELP = "import sys; sys.path[:] = sys.argv[1:]; from blog.importing.preparing import main; main()"

Prepared = tuple[Document, Bundle]


@dataclass(frozen=True, slots=True)
class Source:
    """What files are read for: `known` are the identities of posts that are here already."""

    root: Path
    default_author: str
    known: frozenset[str]

    def prepare(self, file: Path) -> Prepared:
        """Return what `file` holds, ready to be written.

        Raises:
            BlogError: it can't be imported.
        """
        require_inside(file, self.root, what="the file")
        document = read_document(file, self.root, default_author=self.default_author)
        return document, bundle_of(document, is_new=document.identity not in self.known)

    def try_to_prepare(self, file: Path) -> Prepared | BlogError:
        """Return what `prepare` returns or raises."""
        try:
            return self.prepare(file)
        except BlogError as error:
            return error


@contextmanager
def prepared(source: Source, files: Sequence[Path]) -> Iterator[Iterator[Prepared | BlogError]]:
    """Give what becomes of each file, in their order, or why it can't be imported."""
    processes = _processes_for(len(files))
    helpers = [_Helper() for _ in range(processes)]
    try:
        for number, helper in enumerate(helpers):
            helper.ask(source, files[number::processes])
        yield _in_turns(source, files, helpers)
    finally:
        for helper in helpers:
            helper.end()


def _in_turns(source: Source, files: Sequence[Path], helpers: list["_Helper"]) -> Iterator[Prepared | BlogError]:
    for number, file in enumerate(files):
        given = helpers[number % len(helpers)].take() if helpers else None
        yield given or source.try_to_prepare(file)


def _processes_for(files: int) -> int:
    """Return how many processes help; the one that writes, and PostgreSQL, have the rest of the cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores - 1, _MOST_PROCESSES) if files >= _FEWEST_FILES else 0


class _Helper:
    """Another process that prepares some of the files. It's in a session of its own, so Ctrl-C doesn't reach it."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-c", HELP, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._given = cast("IO[bytes]", self._popen.stdout)
        if sys.platform == "linux":
            with suppress(OSError):  # where it's forbidden, it waits more often
                fcntl.fcntl(self._given, fcntl.F_SETPIPE_SZ, _AHEAD_BYTES)
        self._is_well = True

    def ask(self, source: Source, files: Sequence[Path]) -> None:
        """Give it its share, once it has loaded what it needs."""
        try:
            with cast("IO[bytes]", self._popen.stdin) as asked:
                pickle.dump((source, files), asked)
        except BrokenPipeError:
            self._is_well = False

    def take(self) -> Prepared | BlogError | None:
        """Return what became of its next file; None where it ended too early, from which on that's all it gives."""
        if not self._is_well:
            return None
        try:
            given: Prepared | BlogError = pickle.load(self._given)  # noqa: S301  # it's our own
        except (EOFError, pickle.UnpicklingError):
            self._is_well = False
            return None
        return given

    def end(self) -> None:
        """End it, whatever it's at."""
        self._popen.kill()
        self._popen.wait()
        self._given.close()


def main() -> None:
    """Prepare the files that standard input names, and write what becomes of each to standard output."""
    source, files = pickle.load(sys.stdin.buffer)  # noqa: S301  # from the process that started this one
    for file in files:
        try:
            pickle.dump(source.try_to_prepare(file), sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # nobody waits for it any more
            os._exit(0)
