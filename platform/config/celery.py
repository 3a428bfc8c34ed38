"""The Celery application: worker and beat run `celery -A config.celery`."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

from celery import Celery
from django.conf import settings

from tasks import transport, worker
from telemetry import celery as telemetry_celery

transport.use()
app = Celery("glasshouse", task_cls="tasks.base:RecordedTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(lambda: settings.INSTALLED_APPS)
telemetry_celery.connect(app)
worker.connect()
