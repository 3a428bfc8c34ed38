"""The queues, and what beat sends, and when. Settings import this, so it imports nothing heavy."""

from typing import Any

from celery.schedules import crontab

# A short task of many never waits behind a long one of few.
QUEUES = ("default", "notifications", "mail", "images")
# 0 goes first, 9 last: one can step ahead of most tasks, and behind them.
DEFAULT_PRIORITY = 5

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    # At the start of each minute, so that a post comes at the minute that its author chose.
    "blog.publish_due_posts": {
        "task": "blog.publish_due_posts",
        "schedule": crontab(),
        "options": {"expires": 60},
    },
    "notifications.prepare_mails": {
        "task": "notifications.prepare_mails",
        "schedule": 60.0,
        "options": {"queue": "mail", "expires": 60},
    },
    "images.give_up_stranded": {
        "task": "images.give_up_stranded",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    # In the morning, by UTC. Beat that was away sends them late rather than never.
    "notifications.daily_digests": {
        "task": "notifications.prepare_digests",
        "args": ["daily"],
        "schedule": crontab(hour="7", minute="0"),
        "options": {"queue": "mail"},
    },
    "notifications.weekly_digests": {
        "task": "notifications.prepare_digests",
        "args": ["weekly"],
        "schedule": crontab(hour="7", minute="5", day_of_week="mon"),
        "options": {"queue": "mail"},
    },
    # Pages live for five minutes, and are renewed when half of that is over.
    "blog.warm_cache": {"task": "blog.warm_cache", "schedule": crontab(minute="*/2"), "options": {"expires": 110}},
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
    # At night, and apart from each other: who logs in waits for neither.
    "ops.clean_up_sessions": {
        "task": "ops.clean_up_sessions",
        "schedule": crontab(hour="2", minute="40"),
        "options": {"expires": 6 * 3_600},
    },
    "ops.clean_up": {
        "task": "ops.clean_up",
        "schedule": crontab(hour="3", minute="20"),
        "options": {"expires": 6 * 3_600},
    },
}
