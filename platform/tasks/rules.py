"""Who may do what to tasks. Each refusal goes into the ledger."""

from collections.abc import Callable
from typing import TypeAlias

from django.contrib.auth.models import AnonymousUser

import audit
from accounts.models import User
from tasks.errors import NotAllowedError
from tasks.models import TaskRun

Visitor: TypeAlias = User | AnonymousUser


def can_see_all_runs(user: Visitor, run: TaskRun | None = None) -> bool:
    """Whether `user` sees everybody's runs."""
    return user.has_perm("tasks.view_taskrun")


def can_change_all_runs(user: Visitor, run: TaskRun | None = None) -> bool:
    """Whether `user` may cancel and retry everybody's runs."""
    return user.has_perm("tasks.change_taskrun")


def can_change_queues(user: Visitor, run: TaskRun | None = None) -> bool:
    """Whether `user` may pause and resume queues."""
    return user.has_perm("tasks.change_queue")


def can_change_run(user: Visitor, run: TaskRun | None) -> bool:
    """Whether `user` may cancel and retry `run`: one's own, or all with the permission."""
    if can_change_all_runs(user):
        return True
    return bool(run and user.is_authenticated and run.actor_type == "user" and run.actor_id == str(user.pk))


def require(
    rule: Callable[[Visitor, TaskRun | None], bool], user: Visitor, run: TaskRun | None, *, action: str
) -> None:
    """Return where the rule allows it.

    Raises:
        NotAllowedError: it doesn't; the ledger is told.
    """
    if rule(user, run):
        return
    audit.record("tasks.access.denied", target=run, outcome="denied", changes={"action": action})
    raise NotAllowedError(NotAllowedError.__doc__)
