"""A clean database after every test.

`@pytest.mark.django_db` just works, as the application's role; tables are made by the owner's. Tests that commit
(`transaction=True`) and tests of `live_platform` have what they wrote removed by the superuser.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from psycopg import sql

from config.embedded import addresses, postgres
from tests.servers import Servers, empty_redis, running

# What follows from the code alone, and no test changes. Other rows that migrations make are put back after a test.
_UNTOUCHED_TABLES = {"auth_permission", "django_content_type", "django_migrations"}
_LEDGER = "audit_event"
_BIG_TABLE_BYTES = 1_000_000  # nothing vacuums, so that this bounds what a test scans for nothing


@pytest.fixture(scope="session")
def django_db_setup(servers: Servers, django_test_environment: None, django_db_blocker: Any) -> Iterator[None]:
    """Migrate the suite's fresh cluster as the owner. No `test_` databases: the cluster is for this suite alone."""
    from django.apps import apps
    from django.core.management import call_command
    from django.db import connections
    from django.test import TestCase, TransactionTestCase

    roll_back, set_up = TestCase._fixture_teardown, TransactionTestCase._fixture_setup.__func__

    def leave(case: TestCase) -> None:
        roll_back(case)
        servers.has_leftovers = True

    def begin(case: type[TransactionTestCase]) -> None:
        if servers.has_leftovers:
            _restore(servers)
        set_up(case)

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
        patched.setattr(TransactionTestCase, "_fixture_setup", classmethod(begin))
        patched.setattr(TestCase, "_fixture_teardown", leave)
        yield
        connections.close_all()


def _remember(servers: Servers, tables: list[str]) -> None:
    """Keep a copy of what the tables hold now, the ledger apart, which begins empty."""
    execute = servers.superuser.execute
    execute("CREATE SCHEMA suite")
    execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(sql.Identifier(_LEDGER)))
    for table in tables:
        name = sql.Identifier(table)
        execute(sql.SQL("CREATE TABLE suite.{} AS TABLE {}").format(name, name))
        row = execute(sql.SQL("SELECT {}").format(_digest(table))).fetchone()
        assert row is not None
        servers.tables[table] = row[0]
    changes = sql.SQL(" UNION ALL ").join(_change(table, digest) for table, digest in servers.tables.items())
    servers.changes = changes.as_bytes(servers.superuser)  # once, since it's asked after each test


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


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Leave nothing to the next module, which may be any."""
    yield
    if (servers := running()) is not None and servers.has_leftovers:
        _restore(servers)


def _restore(servers: Servers) -> None:
    """Bring the tables back to what they held after the migrations, where they differ; they are few after a test."""
    servers.has_leftovers = False
    for attempt in range(5):
        try:
            with servers.superuser.transaction():
                _restore_once(servers)
        except psycopg.errors.DeadlockDetected:  # a live worker was writing
            if attempt == 4:
                raise
        else:
            return


def _restore_once(servers: Servers) -> None:
    execute = servers.superuser.execute
    changed = execute(servers.changes).fetchall()
    # To delete a few rows is thirty times faster than to truncate; many dead rows would slow all that follows.
    for table, size in changed:
        statement = "DELETE FROM {}" if size < _BIG_TABLE_BYTES else "TRUNCATE {} CASCADE"
        execute(sql.SQL(statement).format(sql.Identifier(table)))
    if not changed:
        return
    for table in (table for table, digest in servers.tables.items() if digest):  # CASCADE may have reached any
        insert = "INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM suite.{name} ON CONFLICT DO NOTHING"
        execute(sql.SQL(insert).format(name=sql.Identifier(table)))
    for table, _size in changed:
        identity = "SELECT FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'id' AND attidentity <> ''"
        if execute(identity, [_reference(table)]).rowcount:
            last = "coalesce(max(id), 1), max(id) IS NOT NULL"
            restart = f"SELECT setval(pg_get_serial_sequence({{}}, 'id'), {last}) FROM suite.{{}}"
            execute(sql.SQL(restart).format(sql.Literal(_reference(table)), sql.Identifier(table)))


@pytest.fixture(scope="module")
def committed(servers: Servers, django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let what all tests of a module need be written and committed once; it's removed after the last of them."""
    from django.db import connections

    with django_db_blocker.unblock():
        yield
        connections.close_all()
    _restore(servers)
    empty_redis(servers)


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
