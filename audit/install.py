"""Puts the ledger's partitions, grants and triggers in place, and keeps them equal to the models.

Runs after each migrate, as the owner; what is already right is left alone, so a run without changes locks nothing.
"""

from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import connections, router, transaction

from audit import capture, conf, partitions, status
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
    # First, and apart: while partitions are made writers wait, so it's no part of the longer transaction.
    report = Report(partitions=len(partitions.ensure(using)))
    with transaction.atomic(using=using), connection.cursor() as cursor:
        _grant(cursor)
        _limit_values(cursor)
        present = status.read_catalogue(connection)["captures"]
        columns_of = capture.read_columns(connection)
        wanted: set[str] = set()
        for model, tracking in tracked_models():
            for table in capture.tables_of(model, tracking, columns_of):
                report.captures += _install_table(cursor, table, present)
                wanted |= {capture.function_name(table.name, event) for event in capture.EVENTS}
        report.removed = _remove_strangers(cursor, wanted)
    return report


def _install_table(cursor: Any, table: capture.Table | capture.Link, present: status.Present) -> list[str]:
    """Create or replace what is missing, outdated, disabled or no longer what was made here."""
    renewed = []
    functions, triggers = capture.functions(table), capture.triggers(table)
    for one in status.states_of(table, present):
        if one.state == "current":
            continue
        cursor.execute(functions[one.event])
        name = capture.quoted(capture.function_name(table.name, one.event))
        cursor.execute(f"REVOKE ALL ON FUNCTION public.{name}() FROM PUBLIC")
        cursor.execute(triggers[one.event])
        if one.state == "disabled":  # replacing a trigger leaves that as it is
            cursor.execute(f"ALTER TABLE public.{capture.quoted(table.name)} ENABLE TRIGGER audit_{one.event}")
        renewed.append(f"{table.name}.{one.event}")
    return renewed


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
    """Let the application read the ledger, call its one door, and keep its readers' searches and exports."""
    role = conf.application_role()
    cursor.execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s AND rolname <> current_user", [role])
    if not cursor.fetchone():
        return
    quoted = capture.quoted(role)
    tables = cursor.db.introspection.table_names(cursor)
    # First take away what default privileges may have given.
    cursor.execute(f"REVOKE ALL ON TABLE public.audit_event, public.audit_key FROM {quoted}")
    cursor.execute(f"REVOKE ALL ON SEQUENCE public.audit_event_id_seq FROM {quoted}")
    cursor.execute(
        "SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'public'::regnamespace "
        "AND p.proname LIKE 'audit\\_%%' AND pg_catalog.has_function_privilege(%s, p.oid, 'EXECUTE')",
        [role],
    )
    for (function,) in cursor.fetchall():
        cursor.execute(f"REVOKE ALL ON FUNCTION {function} FROM {quoted}")
    cursor.execute(f"GRANT SELECT ON public.audit_event TO {quoted}")
    for model in apps.get_app_config("audit").get_models():
        if model._meta.managed and model._meta.db_table in tables:
            cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON public.{model._meta.db_table} TO {quoted}")
    cursor.execute(f"GRANT EXECUTE ON FUNCTION public.audit_record_v1(text, text, text, text, jsonb, text) TO {quoted}")
