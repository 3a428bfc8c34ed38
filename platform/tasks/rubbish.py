"""What `manage cleanup` may remove of tasks: runs that ended long ago, with their attempts."""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from tasks.models import Outcome, TaskRun

KEPT = timedelta(days=30)
DEAD_KEPT = timedelta(days=180)


def finished_runs(age: timedelta | None) -> QuerySet[TaskRun]:
    """Runs that succeeded or were cancelled, after 30 days."""
    return _ended(age or KEPT, Outcome.SUCCEEDED, Outcome.CANCELLED)


def dead_runs(age: timedelta | None) -> QuerySet[TaskRun]:
    """Runs that were given up, after 180 days: nobody will retry them any more."""
    return _ended(age or DEAD_KEPT, Outcome.DEAD)


def _ended(age: timedelta, *outcomes: Outcome) -> QuerySet[TaskRun]:
    return TaskRun.objects.filter(outcome__in=outcomes, finished_at__lt=timezone.now() - age)


KINDS = {"task-runs": finished_runs, "dead-task-runs": dead_runs}
