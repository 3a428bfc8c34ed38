"""Task runs as rows, for tests that look at them."""

import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from tasks import messages
from tasks.models import AttemptOutcome, Outcome, TaskAttempt, TaskRun


def make_run(actor: User | None = None, **fields: Any) -> TaskRun:
    """Return a run that succeeded, unless `fields` says otherwise; nobody but the system asked for it without actor."""
    values: dict[str, Any] = {"id": uuid.uuid4(), "name": "tests.note", "queue": "default"}
    values |= {"outcome": Outcome.SUCCEEDED, "actor_type": "system"}
    if actor:
        values |= {"actor_type": "user", "actor_id": str(actor.pk), "actor_label": actor.username}
    run = TaskRun.objects.create(**{**values, **fields})
    run.refresh_from_db()
    return run


def make_running(actor: User | None = None, **fields: Any) -> TaskRun:
    """Return a run that a worker has."""
    now = timezone.now()
    lease = {"started_at": now, "lease_expires_at": now + timedelta(seconds=30), "worker": "celery@test"}
    return make_run(actor, **{"outcome": "", "attempts": 1, **lease, **fields})


def make_dead(actor: User | None = None, *, attempts: int = 1, **fields: Any) -> TaskRun:
    """Return a run that was given up after so many attempts, and can be retried."""
    now = timezone.now()
    given = {"outcome": Outcome.DEAD, "attempts": attempts, "started_at": now, "finished_at": now}
    given |= {"error": "ValueError: no", "message": messages.freeze([], {}, {})}
    run = make_run(actor, **{**given, **fields})
    for number in range(1, attempts + 1):
        outcome = AttemptOutcome.FAILED if number == attempts else AttemptOutcome.RETRIED
        times = {"started_at": now - timedelta(minutes=attempts - number), "ended_at": now}
        TaskAttempt.objects.create(
            run=run, number=number, outcome=outcome, error=run.error, worker="celery@test", **times
        )
    return run
