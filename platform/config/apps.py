from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate

_LASTING = ("web", "sockets", "worker", "beat")


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        # So that `@shared_task` finds the Celery application in every process.
        from config import celery  # noqa: F401

        _show_process()
        # Sent once for this app alone, when all migrations are through.
        post_migrate.connect(_grant_to_application, sender=self)


def _show_process() -> None:
    """Show that this process runs, until it ends: dashboards mark releases by it, and see what is missing."""
    from config.metrics import PROCESSES

    if settings.PROCESS in _LASTING:
        PROCESSES.labels(settings.PROCESS, settings.RELEASE, settings.PUBLIC_URL).set(1)


def _grant_to_application(*, using: str, **kwargs: Any) -> None:
    from config.grants import grant_to_application

    grant_to_application(using)
