"""What tests of the past ask: the time, and what an object was then."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote

import psycopg
from django.db import connection, models
from django.test import Client

from accounts.models import User
from audit import values
from audit.history.states import State, state_at
from audit.install import install
from tests.audit.readers import user_with

THING, TAG = "everything.thing", "everything.tag"


def clock() -> datetime:
    """The database's time, which events are recorded by."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found


def state(row: models.Model, at: datetime) -> State:
    return state_at(row._meta.label_lower, values.object_id(row), at)


def fields(row: models.Model, at: datetime) -> dict[str, Any] | None:
    found = state(row, at)
    return dict(found.fields) if found.exists else None


@contextmanager
def untracked(superuser: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """Let a connection write without captures, as before a table was tracked."""
    superuser.execute("SET session_replication_role = replica")
    yield superuser
    superuser.execute("SET session_replication_role = origin")


@contextmanager
def column(owner: psycopg.Connection[Any], table: str, definition: str) -> Iterator[None]:
    """Give a table a column that its capture doesn't know."""
    owner.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
    try:
        yield
    finally:
        owner.execute(f"ALTER TABLE {table} DROP COLUMN {definition.split()[0]}")
        install("owner")  # it counts the columns that ever were


def add_event(owner: psycopg.Connection[Any], verb: str, pk: int, changes: str, *, shift: str = "") -> None:
    owner.execute(
        "INSERT INTO audit_event (action, object_type, object_id, changes, recorded_at)"
        f" VALUES ('everything.thing.{verb}', 'everything.thing', %s, %s, clock_timestamp() {shift})",
        [str(pk), changes],
    )


def log_in(client: Client, *permissions: str) -> User:
    user = user_with(*permissions)
    client.force_login(user)
    return user


def address(object_type: str, object_id: Any) -> str:
    return f"/api/audit/objects/{object_type}/{quote(str(object_id), safe='')}/"


def deleted(row: Any) -> Any:
    """Delete a row, and return it with its key."""
    key = row.pk
    row.delete()
    row.pk = key
    return row
