"""The settings of the processes that `celery_processes` starts."""

from config.settings.test import *  # noqa: F403

TELEMETRY_CELERY_POLL_SECONDS = 0.2
