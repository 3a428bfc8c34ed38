"""Which task runs someone may see."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

import audit
from accounts.models import User
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
