from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db import connections, router
from django.db.models.signals import pre_migrate


class EverythingConfig(AppConfig):
    name = "tests.audit.everything"
    label = "everything"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Before the migration, since the ledger's triggers are put in place right after it.
        pre_migrate.connect(make_raw_tables, sender=self, dispatch_uid="everything.raw")


def make_raw_tables(sender: Any, using: str, **kwargs: Any) -> None:
    """Make the tables of the unmanaged models, as someone else's SQL would have."""
    connection = connections[using]
    if not router.allow_migrate(using, "everything") or "raw_parent" in connection.introspection.table_names():
        return
    statements = (Path(__file__).parent / "raw.sql").read_text(encoding="utf-8")
    with connection.cursor() as cursor:
        cursor.execute(
            statements.replace(":application_role", connection.ops.quote_name(settings.AUDIT_APPLICATION_ROLE))
        )
