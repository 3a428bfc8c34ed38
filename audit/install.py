"""Puts the ledger's partitions, grants and triggers in place, and keeps them equal to the models.

Runs after each migrate, as the owner; what is already right is left alone, so a run without changes locks nothing.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from audit import capture, conf
from audit.registry import tracked_models


@dataclass
class Report:
    """What an installation changed: partitions made, and the captures made or renewed, as `table.event`, and
    the functions removed."""

    partitions: int = 0
    captures: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def after_migrate(sender: Any, using: str, plan: Any = (), **kwargs: Any) -> None:
    """Django's `post_migrate`: install on the database that holds the ledger."""
    connection = connections[using]
    is_here = connection.vendor == "postgresql" and router.allow_migrate(using, "audit")
    if is_here and "audit_event" in connection.introspection.table_names():
        install(using)


def install(using: str) -> Report:
    """Make partitions, grants, capture functions and triggers what they should be, in one transaction."""
    connection = connections[using]
    report = Report()
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT public.audit_ensure_partitions_v1(%s)", [conf.partition_months_ahead()])
        report.partitions = cursor.fetchone()[0]
        _grant(cursor)
        _limit_values(cursor)
        present = _present(cursor)
        columns_of = capture.read_columns(connection)
        wanted: set[str] = set()
        for model, tracking in tracked_models():
            for table in capture.tables_of(model, tracking, columns_of):
                report.captures += _install_table(cursor, table, present)
                wanted |= {capture.function_name(table.name, event) for event in capture.EVENTS}
        report.removed = _remove_strangers(cursor, wanted)
    return report


def _install_table(cursor: Any, table: capture.Table | capture.Link, present: dict[str, str]) -> list[str]:
    """Create or replace what differs; the digest of a function's text is kept as its comment."""
    renewed = []
    make_trigger = capture.triggers(table)
    for event, sql in capture.functions(table).items():
        name = capture.function_name(table.name, event)
        digest = hashlib.sha256(sql.encode()).hexdigest()
        if present.get(name) == digest:
            continue
        cursor.execute(sql)
        cursor.execute(f"REVOKE ALL ON FUNCTION public.{capture.quoted(name)}() FROM PUBLIC")
        cursor.execute(f"COMMENT ON FUNCTION public.{capture.quoted(name)}() IS '{digest}'")
        if name not in present:
            cursor.execute(make_trigger[event])
        renewed.append(f"{table.name}.{event}")
    return renewed


def _present(cursor: Any) -> dict[str, str]:
    """The digests of the capture functions that a trigger calls."""
    cursor.execute(
        "SELECT p.proname, pg_catalog.obj_description(p.oid, 'pg_proc') FROM pg_catalog.pg_trigger t "
        "JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid WHERE t.tgname LIKE 'audit\\_%' AND t.tgenabled <> 'D'"
    )
    return {name: digest for name, digest in cursor.fetchall() if digest}


def _remove_strangers(cursor: Any, wanted: set[str]) -> list[str]:
    """Drop the captures of tables that were renamed or are no longer tracked; their triggers go with them."""
    cursor.execute(
        "SELECT proname FROM pg_catalog.pg_proc WHERE pronamespace = 'public'::regnamespace "
        "AND proname LIKE 'audit\\_capture\\_%%' AND NOT proname = ANY (%s)",
        [sorted(wanted)],
    )
    strangers = [name for (name,) in cursor.fetchall()]
    for name in strangers:
        cursor.execute(f"DROP FUNCTION public.{capture.quoted(name)}() CASCADE")
    return strangers


def _limit_values(cursor: Any) -> None:
    """Have values over the limit cut as they are written; the condition keeps all other events from a call."""
    limit = conf.value_limit_bytes()
    wanted = f"pg_column_size(new.changes) > {limit}"
    cursor.execute(
        "SELECT pg_catalog.pg_get_triggerdef(oid) FROM pg_catalog.pg_trigger "
        "WHERE tgrelid = 'public.audit_event'::regclass AND tgname = 'audit_cut'"
    )
    present = cursor.fetchone()
    if present is None or wanted not in present[0]:
        cursor.execute(
            "CREATE OR REPLACE TRIGGER audit_cut BEFORE INSERT ON public.audit_event FOR EACH ROW "
            f"WHEN (pg_catalog.{wanted.replace('new.', 'NEW.')}) "
            f"EXECUTE FUNCTION public.audit_cut_changes_v1({limit})"
        )


def _grant(cursor: Any) -> None:
    """Let the application read the ledger and call its one door; nothing else."""
    role = conf.application_role()
    cursor.execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s AND rolname <> current_user", [role])
    if not cursor.fetchone():
        return
    quoted = capture.quoted(role)
    cursor.execute(f"GRANT SELECT ON public.audit_event TO {quoted}")
    cursor.execute(f"GRANT EXECUTE ON FUNCTION public.audit_record_v1(text, text, text, text, jsonb, text) TO {quoted}")


def is_current(connection: BaseDatabaseWrapper) -> bool:
    """Whether every tracked table is captured by triggers made for its present columns."""
    with connection.cursor() as cursor:
        present = _present(cursor)
    columns_of = capture.read_columns(connection)
    return all(
        present.get(capture.function_name(table.name, event)) == hashlib.sha256(sql.encode()).hexdigest()
        for model, tracking in tracked_models()
        for table in capture.tables_of(model, tracking, columns_of)
        for event, sql in capture.functions(table).items()
    )
