"""Where the embedded servers listen. Settings need this before anything runs, so it imports nothing of ours."""

import hashlib
import re
import tempfile
from pathlib import Path
from urllib.parse import quote

DATABASE = "glasshouse"
SUPERUSER = "postgres"
OWNER_ROLE = "glasshouse_owner"
APPLICATION_ROLE = "glasshouse_app"
# Names the socket's file alone: nothing listens on a port.
POSTGRES_PORT = 5432

# A unix socket's path holds 107 bytes on Linux and 103 on macOS; PostgreSQL appends "/.s.PGSQL.5432.lock".
_LONGEST_DIRECTORY = 80
# All else means something in a URL, or to libpq, which takes a comma for the end of a host's name.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")


def socket_directory(local_dir: Path) -> Path:
    """Return the directory of the embedded servers' unix sockets, for this `local_dir` alone.

    It lies in `local_dir`, or under the temporary directory where that path would be too long for a socket or
    holds characters that mean something in a URL.
    """
    directory = local_dir.resolve() / "sockets"
    if len(str(directory)) <= _LONGEST_DIRECTORY and _PLAIN_PATH.fullmatch(str(directory)):
        return directory
    digest = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"glasshouse-{digest}"


def database_url(local_dir: Path, role: str) -> str:
    """Return the URL by which `role` reaches the embedded PostgreSQL's database."""
    return f"postgresql://{role}@{quote(str(socket_directory(local_dir)), safe='')}:{POSTGRES_PORT}/{DATABASE}"


def redis_url(local_dir: Path) -> str:
    """Return the URL of the embedded Redis, without a database number."""
    return f"unix://{redis_socket(local_dir)}"


def redis_socket(local_dir: Path) -> Path:
    """Return the embedded Redis' unix socket."""
    return socket_directory(local_dir) / "redis.sock"
