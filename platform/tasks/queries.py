"""Which task runs someone may see."""

import uuid
from typing import TypeAlias

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

import audit
from accounts.models import User
from tasks.models import TaskRun

Viewer: TypeAlias = User | AnonymousUser


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
