"""The suite's own PostgreSQL and Redis, a clean state after every test, and on demand a live platform and a browser.

`@pytest.mark.django_db` just works, as the application's role; tables are made by the owner's. Tests that commit
(`transaction=True`) and tests of `live_platform` have what they wrote removed by the superuser.
"""

import fcntl
import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psycopg
import pytest
import redis as redis_py
from django.conf import settings
from psycopg import sql

from config import parts
from config.embedded import addresses, postgres, redis
from config.lock import hold
from config.processes import Process, stop_all, wait_for
from config.redis_urls import BROKER, CACHE, CHANNELS, TELEMETRY, with_database

T = TypeVar("T")
_TEMPORARY_PREFIX = "glasshouse-test-"  # of config.settings.test
# What follows from the code alone, and no test changes. Other rows that migrations make are put back after a test.
_UNTOUCHED_TABLES = {"auth_permission", "django_content_type", "django_migrations"}
_LEDGER = "audit_event"
_BIG_TABLE_BYTES = 4_000_000
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_BROWSER_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# --- waiting: the suite's one place for it -----------------------------------------------------------------------


class WaitUntil(Protocol):
    def __call__(self, condition: Callable[[], T], *, timeout: float = 10) -> T: ...


def _wait_until(condition: Callable[[], T], *, timeout: float = 10) -> T:
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            name = getattr(condition, "__qualname__", repr(condition))
            pytest.fail(f"{name} gave {value!r}, and nothing true within {timeout} s")
        threading.Event().wait(0.05)
    return value


@pytest.fixture(scope="session")
def wait_until() -> WaitUntil:
    """Return a function that polls a condition and returns its first true value, or fails the test in time."""
    return _wait_until


# --- servers -------------------------------------------------------------------------------------------------------


@dataclass
class _Servers:
    superuser: psycopg.Connection
    redis: dict[int, redis_py.Redis]
    # Each table that is restored after a test, with a digest of what it held after the migrations.
    tables: dict[str, str | None] = field(default_factory=dict)
    changes: sql.Composed = field(default_factory=lambda: sql.Composed([]))


_running: _Servers | None = None


def pytest_sessionstart() -> None:
    """Remove the folders of earlier suites that were killed: the lock of one that lives can't be had."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY_PREFIX}*"):
        if folder == settings.LOCAL_DIR or folder.stat().st_uid != os.geteuid():
            continue
        lock = folder / "up.lock"
        if lock.exists():
            with lock.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                shutil.rmtree(folder, ignore_errors=True)


def pytest_unconfigure() -> None:
    folder: Path = settings.LOCAL_DIR
    if folder.name.startswith(_TEMPORARY_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers() -> Iterator[_Servers]:
    """Run the suite's PostgreSQL and Redis. They die with the test process, however it ends."""
    global _running
    local_dir: Path = settings.LOCAL_DIR
    started: list[Process] = []
    with hold(local_dir):
        try:
            started.append(postgres.launch(local_dir, is_durable=False))
            started.append(redis.launch(local_dir, is_durable=False))
            postgres.wait_until_ready(started[0], local_dir)
            redis.wait_until_ready(started[1], local_dir)
            clients = {
                number: redis_py.Redis.from_url(with_database(settings.REDIS_URL, number))
                for number in (BROKER, CACHE, CHANNELS, TELEMETRY)
            }
            with postgres.connect(local_dir) as superuser:
                superuser.execute("SET session_replication_role = replica")  # no triggers, no foreign keys
                superuser.execute("SET lock_timeout = '10s'")
                _running = _Servers(superuser, clients)
                yield _running
        finally:
            _running = None
            stop_all(started)
    for client in clients.values():
        client.close()


@pytest.fixture(autouse=True)
def _clean_redis() -> Iterator[None]:
    yield
    if _running is not None:
        _empty_redis(_running)


def _empty_redis(running: _Servers) -> None:
    for number, client in running.redis.items():
        if number == BROKER:  # a live worker's binding to its queue has to stay
            if keys := [key for key in client.scan_iter(count=1000) if not key.startswith(b"_kombu.binding.")]:
                client.delete(*keys)
        else:
            client.flushdb()


# --- database ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_setup(servers: _Servers, django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """Migrate the suite's fresh cluster as the owner. No `test_` databases: the cluster is for this suite alone."""
    from django.apps import apps
    from django.core.management import call_command
    from django.db import connections
    from django.test import TransactionTestCase

    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patched:
        # The app tests.audit.everything has no migrations.
        call_command("migrate", database="owner", run_syncdb=True, verbosity=0)
        connections["owner"].close()
        existing = {
            name for (name,) in servers.superuser.execute("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')")
        }
        models = apps.get_models(include_auto_created=True)
        wanted = {model._meta.db_table for model in models} | {_LEDGER}  # those that plain SQL makes too
        _remember(servers, sorted((wanted & existing) - _UNTOUCHED_TABLES))
        # Django's own flush is a TRUNCATE, which the application's role may not do.
        patched.setattr(TransactionTestCase, "_fixture_teardown", lambda case: _restore(servers))
        yield
        connections.close_all()


def _remember(running: _Servers, tables: list[str]) -> None:
    """Keep a copy of what the tables hold now, the ledger apart, which begins empty."""
    execute = running.superuser.execute
    execute("CREATE SCHEMA suite")
    execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(sql.Identifier(_LEDGER)))
    for table in tables:
        name = sql.Identifier(table)
        execute(sql.SQL("CREATE TABLE suite.{} AS TABLE {}").format(name, name))
        row = execute(sql.SQL("SELECT {}").format(_digest(table))).fetchone()
        assert row is not None
        running.tables[table] = row[0]
    running.changes = sql.SQL(" UNION ALL ").join(_change(table, digest) for table, digest in running.tables.items())


def _digest(table: str) -> sql.Composed:
    # An empty table gives NULL.
    query = "(SELECT md5(string_agg(row_::text, '' ORDER BY row_::text)) FROM {} AS row_)"
    return sql.SQL(query).format(sql.Identifier(table))


def _change(table: str, digest: str | None) -> sql.Composed:
    """Return a query that gives the table's name and size where it doesn't hold what it held."""
    size = "coalesce((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree({ref})), pg_relation_size({ref}))"
    query = f"SELECT {{name}}, {size} WHERE "
    is_changed = sql.SQL("EXISTS (SELECT FROM {})").format(sql.Identifier(table))
    if digest:
        is_changed = sql.SQL("{} IS DISTINCT FROM {}").format(_digest(table), sql.Literal(digest))
    return sql.SQL(query).format(name=sql.Literal(table), ref=sql.Literal(_reference(table))) + is_changed


def _reference(table: str) -> str:
    """Return the table's name as `regclass` reads it, whatever characters it has."""
    return '"' + table.replace('"', '""') + '"'


def _restore(running: _Servers) -> None:
    """Bring the tables back to what they held after the migrations, where they differ; they are few after a test."""
    for attempt in range(5):
        try:
            with running.superuser.transaction():
                _restore_once(running)
        except psycopg.errors.DeadlockDetected:  # a live worker was writing
            if attempt == 4:
                raise
        else:
            return


def _restore_once(running: _Servers) -> None:
    execute = running.superuser.execute
    changed = execute(running.changes).fetchall()
    # To delete a few rows is thirty times faster than to truncate; many dead rows would slow all that follows.
    for table, size in changed:
        statement = "DELETE FROM {}" if size < _BIG_TABLE_BYTES else "TRUNCATE {} CASCADE"
        execute(sql.SQL(statement).format(sql.Identifier(table)))
    if not changed:
        return
    for table in (table for table, digest in running.tables.items() if digest):  # CASCADE may have reached any
        insert = "INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM suite.{name} ON CONFLICT DO NOTHING"
        execute(sql.SQL(insert).format(name=sql.Identifier(table)))
    for table, _size in changed:
        identity = "SELECT FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'id' AND attidentity <> ''"
        if execute(identity, [_reference(table)]).rowcount:
            last = "coalesce(max(id), 1), max(id) IS NOT NULL"
            restart = f"SELECT setval(pg_get_serial_sequence({{}}, 'id'), {last}) FROM suite.{{}}"
            execute(sql.SQL(restart).format(sql.Literal(_reference(table)), sql.Identifier(table)))


@pytest.fixture(scope="module")
def committed(servers: _Servers, django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let what all tests of a module need be written and committed once; it's removed after the last of them."""
    from django.db import connections

    with django_db_blocker.unblock():
        yield
        connections.close_all()
    _restore(servers)
    _empty_redis(servers)


@pytest.fixture
def superuser(django_db_setup: None) -> Iterator[psycopg.Connection]:
    """Give a connection as superuser, in autocommit mode: it sees what is committed alone."""
    with postgres.connect(settings.LOCAL_DIR) as connection:
        yield connection


@pytest.fixture
def owner_connection(django_db_setup: None) -> Iterator[psycopg.Connection]:
    """Give a connection as the tables' owner, in autocommit mode."""
    with psycopg.connect(
        addresses.database_url(settings.LOCAL_DIR, addresses.OWNER_ROLE), autocommit=True
    ) as connection:
        yield connection


@pytest.fixture
def redis_client(servers: _Servers) -> redis_py.Redis:
    """Give a client of the suite's Redis (database 0). Every database is emptied after each test."""
    return servers.redis[BROKER]


@pytest.fixture(autouse=True)
def _no_maintenance(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test's queries depend on when a second is over: whether it's maintenance isn't asked but after a switch."""
    from ops.maintenance import queries

    monkeypatch.setattr(queries, "KEPT_SECONDS", 3_600.0)
    queries.keep(None)


@pytest.fixture
def no_looks_at_maintenance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the query that each process makes once a second, for no request's sake, out of a count of queries."""
    from ops.maintenance import queries

    request.getfixturevalue("transactional_db")
    monkeypatch.setattr(queries, "KEPT_SECONDS", 3_600.0)
    queries.forget()
    queries.current()


# --- a live platform -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LivePlatform:
    """Real processes against the suite's servers. `lines` holds what they wrote: pairs of process and line."""

    web_url: str
    socket_url: str
    lines: list[tuple[str, str]]

    def lines_of(self, name: str) -> list[str]:
        return [line for process, line in list(self.lines) if process == name]


@pytest.fixture(scope="module")
def running_platform(django_db_setup: None) -> Iterator[LivePlatform]:
    """Run web, sockets and a worker as `manage up` does, for one module: other tests read the queues themselves."""
    lines: list[tuple[str, str]] = []
    web_port, socket_port = _free_ports(2)
    chosen = [
        parts.web(web_port, settings.LOCAL_DIR, socket_port=socket_port),
        parts.sockets(socket_port, settings.LOCAL_DIR, web_port=web_port),
        parts.worker(settings.LOCAL_DIR),
    ]
    processes: list[Process] = []
    try:
        for part in chosen:
            processes.append(Process(part.program, lambda name, line: lines.append((name, line))))
        for part, process in zip(chosen, processes, strict=True):
            is_ready = wait_for(lambda: not process.is_running or part.is_ready(), timeout_seconds=60)  # noqa: B023
            if not is_ready or not process.is_running:
                written = "\n".join(process.last_lines)
                pytest.fail(f"{process.name} {process.describe_end()} and isn't ready:\n{written}")
        yield LivePlatform(f"http://127.0.0.1:{web_port}", f"ws://127.0.0.1:{socket_port}", lines)
    finally:
        stop_all(processes)


@pytest.fixture
def live_platform(transactional_db: None, running_platform: LivePlatform) -> LivePlatform:
    """Give the running platform to one test; what the test commits is removed after it."""
    return running_platform


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    numbers = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return numbers


@pytest.fixture(scope="session")
def free_ports() -> Callable[[int], list[int]]:
    """Return a function that gives so many ports on which nobody listens."""
    return _free_ports


# --- a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Run the system's Chromium for the tests of one module, which holds no coroutine tests.

    Playwright's sync API keeps an event loop running in this thread, so pytest-asyncio can't run one here, and
    Django takes all ORM calls for calls from a coroutine unless told otherwise.
    """
    executable = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if executable is None:
        pytest.skip(f"no Chromium on the PATH (looked for {', '.join(_BROWSERS)})")
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=executable, args=_BROWSER_ARGUMENTS)
            yield chromium
            chromium.close()


@pytest.fixture
def open_page(browser: Any, live_platform: LivePlatform) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a page in a browser session of its own, one for each person of a story.

    Its arguments are those of Playwright's `new_context`. URLs may be paths. Uncaught errors in a page's scripts
    fail the test.
    """
    contexts: list[Any] = []
    errors: list[str] = []

    def open_one(**options: Any) -> Any:
        context = browser.new_context(**{"base_url": live_platform.web_url, **options})
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Any:
    """Give one page of the live platform in a fresh browser session."""
    return open_page()
