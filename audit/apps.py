from django.apps import AppConfig
from django.core import checks
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "audit"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from audit import cursor, echo_receivers, logins
        from audit.checks import every_model_is_decided, ledger_is_in_place
        from audit.install import after_migrate
        from audit.reading import access

        connection_created.connect(cursor.attach, dispatch_uid="audit.cursor")
        post_migrate.connect(after_migrate, sender=self, dispatch_uid="audit.install")
        post_migrate.connect(access.after_migrate, sender=self, dispatch_uid="audit.reading.access")
        checks.register(every_model_is_decided, checks.Tags.models)
        checks.register(ledger_is_in_place, checks.Tags.database)
        echo_receivers.connect()
        logins.connect()
