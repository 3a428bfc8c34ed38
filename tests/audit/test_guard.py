"""The ledger is append-only for everyone, and the application has one door to it."""

from typing import Any

import psycopg
import pytest
from django.db import ProgrammingError, connection, transaction

import audit
from accounts.models import User
from audit.models import Event

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit_event (action) VALUES ('forged')",
        "UPDATE audit_event SET action = 'forged'",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
        "UPDATE audit_event_default SET action = 'forged'",
        "SELECT * FROM audit_key",
        "SELECT audit_ensure_partitions_v1(now(), 1)",
        "SELECT audit_mask_v1('guess')",
        "ALTER TABLE accounts_user DISABLE TRIGGER audit_update",
        "DROP TRIGGER audit_update ON accounts_user",
        "SET session_replication_role = replica",
        "CREATE TABLE shadow (id int)",
    ],
)
def test_the_application_role_is_refused(statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.parametrize("table", ["audit_event", "audit_event_default"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {} SET action = 'forged'", "DELETE FROM {}", "TRUNCATE {}"],
    ids=["update", "delete", "truncate"],
)
def test_even_the_owner_is_refused(superuser: Any, statement: str, table: str) -> None:
    with superuser.transaction(force_rollback=True):
        superuser.execute("SET LOCAL session_replication_role = origin")
        superuser.execute("SET LOCAL ROLE glasshouse_owner")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            superuser.execute(statement.format(table))


def test_if_the_ledger_cant_be_written_the_change_does_not_happen(superuser: Any) -> None:
    superuser.execute(
        "ALTER TABLE audit_event ADD CONSTRAINT broken CHECK (action <> 'accounts.user.created') NOT VALID"
    )
    try:
        with pytest.raises(Exception, match="broken"), transaction.atomic():
            User.objects.create(username="bob")
    finally:
        superuser.execute("ALTER TABLE audit_event DROP CONSTRAINT broken")

    assert not User.objects.filter(username="bob").exists()


def test_record_writes_an_event_that_is_no_row() -> None:
    user = User.objects.create(username="bob")
    event_id = audit.record("reports.export.made", target=user, changes={"rows": 3}, reason="asked for")

    event = Event.objects.get(pk=event_id)

    assert (event.action, event.outcome) == ("reports.export.made", "success")
    assert (event.object_type, event.object_id, event.changes) == ("accounts.user", str(user.pk), {"rows": 3})
    assert event.context["reason"] == "asked for"


@pytest.mark.django_db(transaction=True)
def test_a_denial_outlives_the_transaction_that_rolls_back() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        audit.record("access.denied", outcome="denied")
        audit.record("report.made")
        raise RuntimeError

    assert list(Event.objects.values_list("action", flat=True)) == ["access.denied"]


def test_every_partition_of_the_coming_year_stands_ready(superuser: Any) -> None:
    names = [
        name for (name,) in superuser.execute("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")
    ]

    assert "audit_event_default" in names
    assert len([name for name in names if name.startswith("audit_event_2")]) == 13


def test_an_event_of_a_time_without_partition_is_still_written(superuser: Any) -> None:
    with superuser.transaction(force_rollback=True):
        superuser.execute("INSERT INTO audit_event (action, recorded_at) VALUES ('late', '2199-01-01')")
        where = superuser.execute("SELECT tableoid::regclass::text FROM audit_event WHERE action = 'late'")
        assert where.fetchone() == ("audit_event_default",)
