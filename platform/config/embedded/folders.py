"""The folders of the embedded servers: made, owned by the account that the servers run as, and reachable for it."""

import errno
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.embedded.errors import EmbeddedServerError

# PostgreSQL refuses to run as root; its wheel's own name for the account that it runs as then.
SERVER_USER = "pgserver"
_LEAST_FREE_BYTES = 300 * 1024 * 1024


@dataclass(frozen=True)
class Account:
    name: str
    user_id: int
    group_id: int


def server_account(data_directory: Path) -> Account | None:
    """Return the account that a server of this directory runs as, or None for the current one.

    Only root needs another: the directory's owner where there is one already, else `pgserver`, made if need be.

    Raises EmbeddedServerError: the account can't be made.
    """
    if os.geteuid() != 0:
        return None
    if data_directory.exists() and (owner := data_directory.stat()).st_uid != 0:
        return Account(_user_name(owner.st_uid), owner.st_uid, owner.st_gid)
    try:
        entry = pwd.getpwnam(SERVER_USER)
    except KeyError:
        _add_user()
        entry = pwd.getpwnam(SERVER_USER)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"user {user_id}"


def _add_user() -> None:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        reason = made.stderr.strip() if made.returncode not in (0, 9) else ""  # 9: another process just made it
    except OSError as error:
        reason = str(error)
    if reason:
        raise EmbeddedServerError(
            f"PostgreSQL refuses to run as root, and the user {SERVER_USER} can't be made ({reason}). "
            "Make it yourself, or call this as an ordinary user."
        )


@contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Turn what the operating system says about `directory` into one line that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise EmbeddedServerError(_too_little_space(directory)) from error
        raise EmbeddedServerError(
            f"{error.filename or directory}: {error.strerror or error}. "
            "Set LOCAL_DIR to a folder that you may write to: LOCAL_DIR=~/glasshouse-data make run"
        ) from error


def _too_little_space(directory: Path) -> str:
    return f"Too little space on the disk of {directory}. Free 300 MB, or set LOCAL_DIR to a folder on another disk."


def prepare_local_directory(local_dir: Path) -> None:
    """Make LOCAL_DIR, and see that it can be written to and has room.

    Raises EmbeddedServerError: it can't, or hasn't.
    """
    with explained(local_dir):
        local_dir.mkdir(parents=True, exist_ok=True)
        if not os.access(local_dir, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(local_dir))
        if shutil.disk_usage(local_dir).free < _LEAST_FREE_BYTES:
            raise EmbeddedServerError(_too_little_space(local_dir))


def prepare_private_directory(directory: Path, account: Account | None) -> list[str]:
    """Make `directory` with mode 0700, owned by the account, with every folder above it open for passing through.

    Returns what was changed in folders that aren't ours, as lines for a person.

    Raises EmbeddedServerError: it belongs to somebody else, or can't be made.
    """
    user_id = account.user_id if account else os.geteuid()
    with explained(directory):
        if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
            raise EmbeddedServerError(f"{directory} isn't a folder. Remove it, or set LOCAL_DIR to another folder.")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
        if account and found.st_uid == 0:
            os.chown(directory, account.user_id, account.group_id)
        elif found.st_uid != user_id:
            raise EmbeddedServerError(
                f"{directory} belongs to {_user_name(found.st_uid)}. Call this as that user, "
                "or set LOCAL_DIR to a folder of yours: LOCAL_DIR=~/glasshouse-data make run"
            )
        if stat.S_IMODE(found.st_mode) != 0o700:
            directory.chmod(0o700)
        return open_the_way(directory, account)


def open_the_way(path: Path, account: Account | None) -> list[str]:
    """Let the account pass through every folder above `path`; return what was changed, as lines for a person."""
    changed = []
    if account is not None:
        for folder in path.parents:
            if not _may_pass(folder.stat(), account):
                folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
                changed.append(
                    f"Let {account.name} pass through {folder} (mode o+x): the servers run as {account.name}."
                )
    return changed


def _may_pass(found: os.stat_result, account: Account) -> bool:
    if found.st_uid == account.user_id:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.group_id:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def let_read(directory: Path, program: Path, account: Account | None) -> list[str]:
    """Let the account run `program` and read all of `directory` around it, as a strict umask may have forbidden."""
    if account is None:
        return []
    with explained(directory):
        readable = stat.S_IROTH | stat.S_IXOTH
        is_root_owned = directory.stat().st_uid != account.user_id
        if is_root_owned and program.stat().st_mode & readable != readable:
            for path in (directory, *directory.rglob("*")):
                if not path.is_symlink():
                    mode = path.stat().st_mode
                    path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
        return open_the_way(program, account)
