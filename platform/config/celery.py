"""The Celery application: worker and beat run `celery -A config.celery`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

from typing import Any

from celery import Celery
from celery.app.defaults import DEFAULTS
from django.conf import settings

from tasks import transport, worker
from telemetry import celery as telemetry_celery

transport.use()
app = Celery("glasshouse", task_cls="tasks.base:RecordedTask")


def keep_at_hand(sender: Any, source: Any, **kwargs: Any) -> None:
    """Keep what is configured where Celery looks first: by way of Django's settings that's a fifth of each publish."""
    source.update({name: source[name] for name in DEFAULTS})


app.on_after_configure.connect(keep_at_hand)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(lambda: settings.INSTALLED_APPS)
telemetry_celery.connect(app)
worker.connect()
