"""Where pictures lie on the disk. A file is there whole, or not at all.

What was uploaded waits in the storage `incoming`, to which no address leads; what was made of it is media.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from django.core.files.storage import Storage, default_storage, storages
from django.utils import timezone

INCOMING = "incoming"
FOLDER = "images"
_TEMPORARY = ".part"


def incoming_storage() -> Storage:
    """Return the storage of what was uploaded, and isn't validated."""
    return storages[INCOMING]


def new_key() -> str:
    """Return a picture's random name: nobody guesses it, and nothing of the name it came with is in it."""
    return secrets.token_hex(16)


def incoming_name(key: str) -> str:
    """Return the name of a picture's upload, without a suffix: it isn't known yet to be what it says."""
    return f"{key[:2]}/{key}"


def media_name(key: str, suffix: str) -> str:
    """Return the name of a file made of a picture; a step that runs again writes to the same."""
    return f"{FOLDER}/{key[:2]}/{key}{suffix}"


def write_file(storage: Storage, name: str, data: bytes) -> None:
    """Write a file whole, over one of the same name; where that fails, nothing of it is left.

    Raises:
        OSError: it can't be written; the disk may be full.
    """
    path = Path(storage.path(name))
    mode = getattr(storage, "directory_permissions_mode", None) or 0o777
    path.parent.mkdir(mode=mode, parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(getattr(storage, "file_permissions_mode", None) or 0o644)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def read_incoming(name: str) -> bytes:
    """Return an upload's bytes.

    Raises:
        OSError: it can't be read.
    """
    return Path(incoming_storage().path(name)).read_bytes()


def remove_files(media: list[str], incoming: list[str]) -> None:
    """Remove files; one that isn't there is removed already."""
    for name in filter(None, media):
        default_storage.delete(name)
    for name in filter(None, incoming):
        incoming_storage().delete(name)


def files_older_than(age: timedelta) -> Iterator[tuple[str, str]]:
    """Give each stored file of pictures, whole or not, as (storage's alias, name), but for those just written."""
    before = timezone.now() - age
    for alias, storage, folder in (("default", default_storage, FOLDER), (INCOMING, incoming_storage(), "")):
        yield from ((alias, name) for name in _files_below(storage, folder, before))


def _files_below(storage: Storage, folder: str, before: datetime) -> Iterator[str]:
    root = Path(storage.path(""))
    for path in sorted((root / folder).rglob("*")):
        with suppress(FileNotFoundError):  # removed while we were looking
            if path.is_file() and path.stat().st_mtime < before.timestamp():
                yield path.relative_to(root).as_posix()
