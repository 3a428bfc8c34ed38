from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        # So that `@shared_task` finds the Celery application in every process.
        from config import celery  # noqa: F401

        # Sent once for this app alone, when all migrations are through.
        post_migrate.connect(_grant_to_application, sender=self)


def _grant_to_application(*, using: str, **kwargs: Any) -> None:
    from config.grants import grant_to_application

    grant_to_application(using)
