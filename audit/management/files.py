"""How our commands write: a file whole or not at all, and nothing more once nobody reads."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TextIO

from django.core.management.base import CommandError


def refuse_unwritable(output: Path) -> None:
    """Say what is wrong with a file to be written: before the work is done, and not after it.

    Raises:
        CommandError: it's no file, or its folder isn't there or not to be written to.
    """
    if output.exists() and not output.is_file():
        raise CommandError(f"{output} is no file. Leave --output out to write to standard output.")
    if not output.parent.is_dir():
        raise CommandError(f"There is no folder {output.parent}; make it, or name another with --output.")
    if not os.access(output.parent, os.W_OK):
        raise CommandError(f"Nothing may be written in {output.parent}; name another folder with --output.")


@contextmanager
def whole_file(output: Path) -> Iterator[IO[bytes]]:
    """Give a file beside `output` that takes its place once the block is through.

    Who looks finds the old file or the new one, and never a part. Others may not read it, since it may hold personal
    data.

    Raises:
        CommandError: it could not be written; `output` is as it was.
    """
    path = Path(os.path.realpath(output))  # where a link leads
    temporary = ""
    try:
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name[:100]}.", delete=False) as file:
            temporary = file.name
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError):
            raise CommandError(
                f"{output} could not be written, and is as it was: {error.strerror or error}."
            ) from error
        raise


def silence(out: Any) -> None:
    """Let what Python writes at its end go nowhere: it would complain of the closed pipe once more."""
    stream: TextIO = getattr(out, "_out", out)
    if stream is sys.stdout:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
