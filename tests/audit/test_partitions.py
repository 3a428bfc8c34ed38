"""The ledger grows by months: no write waits for a partition, and no event is lost or doubled on its way into one."""

import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from psycopg import errors, sql

from audit import conf, partitions
from audit.errors import PartitionsError
from audit.tasks import ensure_partitions
from config.celery import app
from config.embedded import addresses, postgres
from tasks.schedule import BEAT_SCHEDULE

DATABASE = "audit_growth"
SQL = Path(partitions.__file__).parent / "sql"
Connect = Callable[[], psycopg.Connection]


@pytest.fixture
def connect(servers: Any) -> Iterator[Connect]:
    """Give connections to a ledger of the test's own, in a database beside the suite's."""
    opened: list[psycopg.Connection] = []
    name = sql.Identifier(DATABASE)
    servers.superuser.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))

    def open_one() -> psycopg.Connection:
        opened.append(postgres.connect(settings.LOCAL_DIR, DATABASE))
        return opened[-1]

    try:
        with open_one() as maker, maker.transaction():
            for file in ("ledger_v1.sql", "partitions_v1.sql"):
                maker.execute((SQL / file).read_text())
        yield open_one
    finally:
        for connection in opened:
            connection.close()
        servers.superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def ledger(connect: Connect) -> psycopg.Connection:
    return connect()


def month(number: int) -> datetime:
    """The 15th of a month of the simulated time, which begins in October 2031."""
    year, index = divmod(9 + number, 12)
    return datetime(2031 + year, index + 1, 15, 12, tzinfo=UTC)


def ensure(connection: psycopg.Connection, at: datetime, months_ahead: int = 0) -> dict[str, int]:
    rows = connection.execute("SELECT * FROM audit_ensure_partitions_v1(%s, %s)", [at, months_ahead])
    return {name.removeprefix("audit_event_"): moved for name, moved in rows}


def write(connection: psycopg.Connection, at: datetime) -> int:
    row = connection.execute(
        "INSERT INTO audit_event (action, recorded_at) VALUES ('shop.order.paid', %s) RETURNING id", [at]
    ).fetchone()
    assert row is not None
    return int(row[0])


def places(connection: psycopg.Connection) -> list[tuple[int, str, str]]:
    """Each event: its id, the partition it lies in, the month it is of."""
    return connection.execute(
        "SELECT id, replace(tableoid::regclass::text, 'audit_event_', ''), "
        "to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY_MM') FROM audit_event ORDER BY id"
    ).fetchall()


def assert_all_is_well(connection: psycopg.Connection, ids: list[int]) -> None:
    """Every event once, in the partition of its month; every partition indexed, guarded and granted to nobody."""
    found = places(connection)
    assert [event_id for event_id, _, _ in found] == sorted(ids)
    assert [(event_id, where) for event_id, where, of in found if where != of] == []
    incomplete = connection.execute(
        """
        SELECT p.inhrelid::regclass::text
        FROM pg_inherits p
        CROSS JOIN (SELECT indexrelid FROM pg_index WHERE indrelid = 'audit_event'::regclass) of_ledger
        LEFT JOIN (SELECT i.indrelid, h.inhparent FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
                   WHERE i.indisvalid) own ON own.indrelid = p.inhrelid AND own.inhparent = of_ledger.indexrelid
        WHERE p.inhparent = 'audit_event'::regclass AND own.indrelid IS NULL
        """
    ).fetchall()
    assert incomplete == []
    unguarded = connection.execute(
        """
        SELECT c.relname FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid
        WHERE p.inhparent = 'audit_event'::regclass AND (
            NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'audit_append_only')
            OR EXISTS (SELECT FROM aclexplode(c.relacl) acl WHERE acl.grantee <> c.relowner)
            OR EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.conname = 'audit_month'))
        """
    ).fetchall()
    assert unguarded == []
    left_over = (
        "SELECT relname FROM pg_class WHERE relname LIKE 'audit_event_%' AND relkind = 'r' AND NOT relispartition"
    )
    assert connection.execute(left_over).fetchall() == []


def test_a_simulated_year_with_a_gap_of_three_months_loses_and_doubles_nothing(ledger: psycopg.Connection) -> None:
    ids: list[int] = []
    ensure(ledger, month(0))
    for number in range(14):
        now = month(number)
        ids += [write(ledger, now + timedelta(hours=step)) for step in range(5)]
        if number not in (5, 6, 7):  # the task was away
            ensure(ledger, now, months_ahead=1)
        ids += [write(ledger, now + timedelta(days=step)) for step in range(5)]
        if number == 7:
            assert {where for _, where, of in places(ledger) if of == "2032_05"} == {"default"}

    assert_all_is_well(ledger, ids)
    names = {where for _, where, _ in places(ledger)}
    assert len(names) == 14
    assert {"2031_10", "2032_04", "2032_05", "2032_11"} <= names


def test_what_stands_is_left_alone(ledger: psycopg.Connection) -> None:
    assert list(ensure(ledger, month(0), months_ahead=2)) == ["2031_10", "2031_11", "2031_12"]
    before = ledger.execute("SELECT oid FROM pg_class WHERE relname LIKE 'audit_event%' ORDER BY oid").fetchall()

    assert ensure(ledger, month(0), months_ahead=2) == {}
    assert (
        ledger.execute("SELECT oid FROM pg_class WHERE relname LIKE 'audit_event%' ORDER BY oid").fetchall() == before
    )


def test_an_empty_default_partition_stays_the_table_it_was(ledger: psycopg.Connection) -> None:
    ensure(ledger, month(0))
    before = ledger.execute("SELECT 'audit_event_default'::regclass::oid").fetchone()
    ensure(ledger, month(1))
    assert ledger.execute("SELECT 'audit_event_default'::regclass::oid").fetchone() == before


def test_events_of_a_month_that_nobody_foresaw_move_as_well(ledger: psycopg.Connection) -> None:
    ensure(ledger, month(0))
    ids = [write(ledger, datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)), write(ledger, month(0))]
    assert ensure(ledger, month(0)) == {"1999_12": 1}
    assert_all_is_well(ledger, ids)


def test_an_event_of_no_month_stays_in_the_default_partition(ledger: psycopg.Connection) -> None:
    ensure(ledger, month(0))
    write(ledger, month(1))
    ledger.execute("INSERT INTO audit_event (action, recorded_at) VALUES ('odd', 'infinity')")
    assert ensure(ledger, month(0)) == {"2031_11": 1}
    assert [where for _, where, _ in places(ledger)] == ["2031_11", "default"]


def test_a_month_that_was_detached_is_not_made_anew(ledger: psycopg.Connection) -> None:
    ensure(ledger, month(0))
    ledger.execute("ALTER TABLE audit_event DETACH PARTITION audit_event_2031_10")
    write(ledger, month(0))
    assert ensure(ledger, month(0)) == {}
    assert [where for _, where, _ in places(ledger)] == ["default"]


def test_a_default_partition_that_was_dropped_comes_back(ledger: psycopg.Connection) -> None:
    ensure(ledger, month(0))
    ledger.execute("DROP TABLE audit_event_default")
    ensure(ledger, month(0))
    assert_all_is_well(ledger, [])
    assert write(ledger, month(5))


def test_moved_events_keep_every_value(ledger: psycopg.Connection) -> None:
    ensure(ledger, month(0))
    write(ledger, month(1))
    before = ledger.execute("SELECT to_jsonb(e) FROM audit_event e").fetchall()
    ensure(ledger, month(1))
    assert ledger.execute("SELECT to_jsonb(e) FROM audit_event e").fetchall() == before


def test_default_privileges_open_no_partition(ledger: psycopg.Connection) -> None:
    application = sql.Identifier(addresses.APPLICATION_ROLE)
    ledger.execute(sql.SQL("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {}").format(application))
    ensure(ledger, month(0))
    ids = [write(ledger, month(1))]
    ensure(ledger, month(1))
    assert_all_is_well(ledger, ids)


@pytest.mark.parametrize("partition", ["audit_event_2031_11", "audit_event_default"])
def test_new_partitions_are_append_only(ledger: psycopg.Connection, partition: str) -> None:
    ensure(ledger, month(0))
    write(ledger, month(1))
    ensure(ledger, month(0))
    for statement in ("UPDATE {} SET action = 'forged'", "DELETE FROM {}", "TRUNCATE {}"):
        with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
            ledger.execute(sql.SQL(statement).format(sql.Identifier(partition)))


def test_a_snapshot_that_is_blind_to_late_events_is_refused(ledger: psycopg.Connection) -> None:
    ledger.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with pytest.raises(errors.RaiseException, match="READ COMMITTED"), ledger.transaction():
        ensure(ledger, month(0))


def test_writers_go_on_while_partitions_are_made_and_events_move(connect: Connect, wait_until: Any) -> None:
    maker = connect()
    ensure(maker, month(0))
    is_over = threading.Event()
    begun = threading.Barrier(5)
    written: list[int] = []
    failures: list[BaseException] = []

    def work(connection: psycopg.Connection, seed: int) -> None:
        choice = random.Random(seed)
        ids: list[int] = []
        try:
            begun.wait(60)
            while not is_over.is_set():
                at = month(choice.randrange(7))
                if seed % 2:
                    ids.append(write(connection, at))
                    continue
                with connection.transaction() as block:
                    some = [write(connection, at) for _ in range(choice.randrange(1, 6))]
                    if choice.random() < 0.3:
                        raise psycopg.Rollback(block)
                    ids += some
        except BaseException as error:
            failures.append(error)
        written.extend(ids)

    threads = [threading.Thread(target=work, args=(connect(), seed)) for seed in range(4)]
    for thread in threads:
        thread.start()
    begun.wait(60)
    moved = 0
    try:
        for number in range(1, 7):
            wait_until(lambda: maker.execute("SELECT FROM audit_event OFFSET %s LIMIT 1", [40 * number]).rowcount)  # noqa: B023
            moved += sum(ensure(maker, month(number)).values())
    finally:
        is_over.set()
        for thread in threads:
            thread.join(60)

    assert failures == []
    assert moved > 0
    ensure(maker, month(6))
    assert_all_is_well(maker, written)


def test_a_transaction_that_began_before_the_move_and_ends_after_it_began_is_not_lost(
    connect: Connect, wait_until: Any
) -> None:
    """Its event is invisible to the first copy, so the second one has to find it."""
    maker, writer, watcher = connect(), connect(), connect()
    ensure(maker, month(0))
    with writer.transaction():
        ids = [write(writer, month(1))]
        thread = threading.Thread(target=ensure, args=(maker, month(1)))
        thread.start()
        waits = "SELECT FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
        wait_until(lambda: watcher.execute(waits).rowcount)
    thread.join(60)
    assert_all_is_well(watcher, ids)


def test_a_reader_that_takes_long_keeps_nobody_from_writing(connect: Connect, wait_until: Any) -> None:
    """Whoever waits for the ledger to himself gives way again and again, until he gets it."""
    maker, reader, writer = connect(), connect(), connect()
    ensure(maker, month(0))
    ids = [write(writer, month(1))]
    thread = threading.Thread(target=ensure, args=(maker, month(1)))
    with reader.transaction():
        reader.execute("SELECT FROM audit_event")
        thread.start()
        pauses = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        wait_until(lambda: writer.execute(pauses).rowcount)
        ids.append(write(writer, month(1)))
    thread.join(60)
    assert_all_is_well(writer, ids)


def test_two_at_once_make_each_partition_once(connect: Connect) -> None:
    made: list[str] = []

    def make(connection: psycopg.Connection) -> None:
        made.extend(ensure(connection, month(0), months_ahead=11))

    threads = [threading.Thread(target=make, args=(connect(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == len(set(made)) == 12


class TestInTheProject:
    """The command and the task, on the suite's own ledger, where all partitions stand."""

    pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

    @pytest.fixture(autouse=True)
    def _a_month_may_have_begun(self, transactional_db: None) -> None:
        partitions.ensure()

    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command("audit_partitions", *arguments, stdout=out)
        return out.getvalue()

    def test_the_owner_is_the_alias_that_migrates(self, settings: Any) -> None:
        assert conf.owner_database() == "owner"
        settings.AUDIT_OWNER_DATABASE = "default"
        assert conf.owner_database() == "default"

    def test_beat_sends_the_task(self) -> None:
        assert BEAT_SCHEDULE["audit.ensure_partitions"]["task"] == ensure_partitions.name
        assert ensure_partitions.name in app.tasks

    def test_nothing_is_done_where_all_stand(self) -> None:
        assert self.run() == "All partitions stand.\n"
        assert ensure_partitions() == 0

    def test_more_months_are_made_and_told(self, superuser: psycopg.Connection) -> None:
        standing = conf.partition_months_ahead()
        try:
            (made,) = orjson.loads(self.run("--months-ahead", str(standing + 1), "--format", "json"))["made"]
            assert made["moved_events"] == 0
            assert self.run("--months-ahead", str(standing + 1)) == "All partitions stand.\n"
        finally:
            superuser.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(made["name"])))
        assert made["name"] in self.run("--months-ahead", str(standing + 1))
        superuser.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(made["name"])))

    def test_the_application_is_told_that_it_may_not(self, settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(CommandError, match="may not make partitions"):
            self.run("--database", "default")
        settings.AUDIT_OWNER_DATABASE = "default"
        assert ensure_partitions() == 0
        assert "audit.partitions_not_made" in capsys.readouterr().out

    def test_a_ledger_in_use_without_pause_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Busy:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *exception: Any) -> None: ...

            def execute(self, *statement: Any) -> None:
                from django.db import OperationalError

                raise OperationalError from errors.LockNotAvailable()

        monkeypatch.setattr(partitions.connections["owner"], "cursor", Busy)
        with pytest.raises(PartitionsError, match="without a pause"):
            partitions.ensure()

    @pytest.mark.parametrize("number", ["-1", "121", "x", "²"])
    def test_a_number_out_of_range_is_refused(self, number: str) -> None:
        with pytest.raises(CommandError, match="no number from 0 to 120"):
            self.run(f"--months-ahead={number}")

    def test_help_shows_examples(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            call_command("audit_partitions", "--help")
        assert "manage audit_partitions --months-ahead 24    two years" in capsys.readouterr().out


def test_months_in_a_row_are_counted_from_now() -> None:
    starts = [datetime(2031, number, 1, tzinfo=UTC) for number in (10, 11, 12)] + [datetime(2032, 2, 1, tzinfo=UTC)]
    assert partitions.months_ready(starts, at=month(0)) == 3
    assert partitions.months_ready(starts, at=month(2)) == 1
    assert partitions.months_ready(starts, at=month(3)) == 0
