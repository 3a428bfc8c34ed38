"""What the application's database role may do: read and write rows, and nothing to the tables themselves."""

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

# The ledger grants its own: there, the application may only read, and record through a function.
_APPS_THAT_GRANT_THEMSELVES = frozenset({"audit"})

_OWNED_SEQUENCES = """
SELECT sequence.oid::regclass::text
FROM pg_class sequence
JOIN pg_depend ON pg_depend.objid = sequence.oid AND pg_depend.classid = 'pg_class'::regclass
WHERE sequence.relkind = 'S' AND pg_depend.deptype IN ('a', 'i')
  AND pg_depend.refobjid IN (SELECT to_regclass(quote_ident(name)) FROM unnest(%s::text[]) AS name)
"""


def grant_to_application(using: str) -> None:
    """Grant the application's role its rights on every table of Django's models, after a migration.

    It does nothing where that role is the one that migrates, or where none is set.
    """
    role = settings.AUDIT_APPLICATION_ROLE
    connection = connections[using]
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        if not role or cursor.fetchone() == (role,):
            return
        existing = set(connection.introspection.table_names(cursor))
        tables = sorted(_written_tables() & existing)
        if tables:
            names = ", ".join(map(quote, tables))
            cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {names} TO {quote(role)}")
            cursor.execute(_OWNED_SEQUENCES, [tables])
            if names := ", ".join(name for (name,) in cursor.fetchall()):  # regclass has quoted them
                cursor.execute(f"GRANT USAGE, SELECT ON SEQUENCE {names} TO {quote(role)}")
        if (migrations := MigrationRecorder.Migration._meta.db_table) in existing:
            cursor.execute(f"GRANT SELECT ON TABLE {quote(migrations)} TO {quote(role)}")


def _written_tables() -> set[str]:
    return {
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed
        and not model._meta.proxy
        and not model._meta.swapped
        and model._meta.app_label not in _APPS_THAT_GRANT_THEMSELVES
    }
