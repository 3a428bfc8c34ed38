"""Makes the variant's tables and rows: `python -m shop.prepare`."""

import django
import psycopg
from django.conf import settings

ROWS = 1_000
_DESCRIPTION = "a jar of something that hardly anybody buys twice, " * 4


def main() -> None:
    django.setup()
    from django.core.management import call_command

    # Twice: tables without migrations come first, and those of the libraries refer to the user's.
    call_command("migrate", database="owner", verbosity=0)
    call_command("migrate", database="owner", verbosity=0, run_syncdb=True)
    role = settings.DATABASES["default"]["USER"]
    with psycopg.connect(settings.BENCH["databases"][0], autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")  # rows that nobody captures
        superuser.execute(
            "INSERT INTO shop_item (title, description, stock, updated_at) "
            "SELECT 'Item ' || number, %s, 1, now() FROM generate_series(1, %s) AS number",
            [_DESCRIPTION, ROWS],
        )
        for (table,) in superuser.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'audit\\_%'"
        ).fetchall():
            superuser.execute(f'GRANT SELECT, INSERT, UPDATE, DELETE ON "{table}" TO {role}')
        if "audit" not in settings.PARTS:
            superuser.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")


if __name__ == "__main__":
    main()
