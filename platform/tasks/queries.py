"""Which task runs someone may see."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.db.models import QuerySet

import audit
from accounts.models import User
from audit.reading.queries import within_time
from tasks.models import Outcome, TaskRun

Viewer: TypeAlias = User | AnonymousUser
_MOST_CHILDREN = 50


def runs_visible_to(user: Viewer) -> QuerySet[TaskRun]:
    """Return the runs that `user` may see, newest first: their own, or all with `tasks.view_taskrun`."""
    if not user.is_authenticated:
        return TaskRun.objects.none()
    if user.has_perm("tasks.view_taskrun"):
        return TaskRun.objects.all()
    return TaskRun.objects.filter(actor_type="user", actor_id=str(user.pk))


def run_visible_to(user: Viewer, run_id: uuid.UUID) -> TaskRun | None:
    """Return one run if `user` may see it, else None; that someone asked for another's goes into the ledger."""
    run = runs_visible_to(user).filter(id=run_id).first()
    if run is None and TaskRun.objects.filter(id=run_id).exists():
        audit.record("tasks.taskrun.viewed", target=("tasks.taskrun", str(run_id)), outcome="denied")
    return run


@contextmanager
def bounded(seconds: int, *, by_index: bool = False) -> Iterator[None]:
    """Run a block in a transaction whose statements take so long at most.

    `by_index` is for what reads the unfinished runs alone: where they are many, the planner would rather read the
    whole table, with all that ever ran.

    Raises:
        audit.errors.SearchTooLongError: one took longer.
    """
    with within_time("default", seconds):
        if by_index:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_catalog.set_config('enable_seqscan', 'off', true)")
        yield


@dataclass(frozen=True, slots=True)
class Family:
    """The task that asked for a run, where one did, and the tasks that the run asked for; as far as one may see."""

    parent: TaskRun | None
    children: Sequence[TaskRun]


def family_of(run: TaskRun, user: Viewer) -> Family:
    """Return a run's nearest, among those that `user` may see."""
    visible = runs_visible_to(user).only("id", "name", "state", "enqueued_at")
    parent = visible.filter(id=run.parent_task_id).first() if _is_uuid(run.parent_task_id) else None
    # They are of the same request, by which there is an index.
    found = visible.filter(request_id=run.request_id, parent_task_id=str(run.pk)) if run.request_id else visible.none()
    return Family(parent, list(found.order_by("enqueued_at", "id")[:_MOST_CHILDREN]))


def dead_among(runs: QuerySet[TaskRun]) -> QuerySet[TaskRun]:
    """Return those of `runs` that were given up and can be retried, those first that died first."""
    return runs.filter(outcome=Outcome.DEAD, message__isnull=False).order_by("finished_at", "id")


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
