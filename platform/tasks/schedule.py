"""The queues, and what beat sends, and when. Settings import this, so it imports nothing heavy."""

from typing import Any

from celery.schedules import crontab

# A short task of many never waits behind a long one of few.
QUEUES = ("default", "notifications", "images")
# 0 goes first, 9 last: one can step ahead of most tasks, and behind them.
DEFAULT_PRIORITY = 5

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    # At the start of each minute, so that a post comes at the minute that its author chose.
    "blog.publish_due_posts": {
        "task": "blog.publish_due_posts",
        "schedule": crontab(),
        "options": {"expires": 60},
    },
    # Often, since it costs two look-ups where nothing is to be done, and beat may be away for days.
    "audit.ensure_partitions": {
        "task": "audit.ensure_partitions",
        "schedule": 6 * 3_600.0,
        "options": {"expires": 3_600},
    },
    "audit.expire_exports": {
        "task": "audit.expire_exports",
        "schedule": 3_600.0,
        "options": {"expires": 3_600},
    },
}
