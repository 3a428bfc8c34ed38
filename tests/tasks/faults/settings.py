"""The settings of the workers that the fault tests start: everything within seconds."""

from config.settings.test import *  # noqa: F403
from config.settings.test import LOCAL_DIR

CELERY_IMPORTS = ["tests.tasks.faults.jobs"]
TASKS_LEASE_SECONDS = 3
TASKS_ROUND_SECONDS = 0.4
TASKS_UNSENT_SECONDS = 0.5
TASKS_LOST_SECONDS = 1
TASKS_BACKOFF_SECONDS = 0.2
TELEMETRY_METRICS_DIR = LOCAL_DIR.parent / "metrics"  # the suite's own: what workers count is read there
