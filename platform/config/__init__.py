"""The platform's configuration: settings, URLs, the processes' entry points."""

# So that `@shared_task` finds this application in the web process as well.
from config.celery import app as celery_app

__all__ = ["celery_app"]
