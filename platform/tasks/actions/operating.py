"""What people do to tasks: cancel, retry, pause and resume a queue. Each is told to the ledger, with the reason."""

import uuid
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

import audit
from accounts.models import User
from tasks import messages, rules
from tasks.actions.enqueuing import send_again, send_or_put_back
from tasks.errors import NotPossibleError, ReasonMissingError
from tasks.models import LONGEST_ERROR, Outcome, Queue, State, TaskRun

MOST_AT_ONCE = 1_000
_DEFAULT_ATTEMPTS = 4


@transaction.atomic
def cancel_run(run: TaskRun, *, actor: User, reason: str) -> TaskRun:
    """Cancel a run: at once where it waits; one at work is asked to stop, and does when it next reports progress.

    Raises NotAllowedError, NotPossibleError (it's finished) and ReasonMissingError.
    """
    rules.require(rules.can_change_run, actor, run, action="cancel")
    with audit.reason(_checked(reason)):
        run = _locked(run.id)
        if run.is_finished:
            raise NotPossibleError(f"It's {run.state_label.lower()} already.")
        changes: dict[str, Any] = {"cancel_requested_at": Now()}
        if run.state != State.RUNNING:
            error = f"Cancelled by {actor.username}: {reason}"[:LONGEST_ERROR]
            changes |= {"outcome": Outcome.CANCELLED, "finished_at": Now(), "error": error}
        TaskRun.objects.filter(id=run.id).update(**changes)
        audit.record("tasks.taskrun.cancelled", target=run, changes={"was": run.state})
    run.refresh_from_db()
    return run


@transaction.atomic
def retry_run(run: TaskRun, *, actor: User, reason: str) -> TaskRun:
    """Run a dead or cancelled task again, as whoever asked for it, with as many attempts as it had at first.

    Raises NotAllowedError, NotPossibleError (it isn't over, it succeeded, or the same is under way) and
    ReasonMissingError.
    """
    rules.require(rules.can_change_run, actor, run, action="retry")
    with audit.reason(_checked(reason)):
        run = _locked(run.id)
        if run.state not in (State.DEAD, State.CANCELLED):
            state = run.state_label.lower()
            raise NotPossibleError(f"It's {state}; only what is dead or cancelled can be retried.")
        if run.message is None:
            raise NotPossibleError("Its message isn't kept any more.")
        if run.unique_key and TaskRun.objects.filter(unique_key=run.unique_key, outcome="").exists():
            raise NotPossibleError("Another run of the same is under way.")
        _revive(run)
        audit.record("tasks.taskrun.retried", target=run, changes={"was": run.state, "error": run.error})
    run.refresh_from_db()
    return run


@transaction.atomic
def retry_runs(runs: QuerySet[TaskRun], *, actor: User, reason: str) -> int:
    """Retry the dead runs among `runs`, oldest first, at most `MOST_AT_ONCE`; returns how many.

    Those whose message is gone or whose unique key is taken are left as they are. Raises NotAllowedError and
    ReasonMissingError.
    """
    rules.require(rules.can_change_all_runs, actor, None, action="retry")
    with audit.reason(_checked(reason)):
        dead = TaskRun.objects.filter(outcome=Outcome.DEAD, message__isnull=False)
        ids = runs.filter(pk__in=dead.values("pk")).order_by("finished_at").values_list("id", flat=True)[:MOST_AT_ONCE]
        taken = set(TaskRun.objects.filter(outcome="").exclude(unique_key="").values_list("unique_key", flat=True))
        retried: list[str] = []
        for run in dead.select_for_update(skip_locked=True).filter(id__in=list(ids)):
            if run.unique_key in taken:
                continue
            taken |= {run.unique_key} - {""}
            _revive(run)
            retried.append(str(run.id))
        audit.record("tasks.taskrun.retried_many", changes={"count": len(retried), "ids": retried})
    return len(retried)


def pause_queue(name: str, *, actor: User, reason: str) -> Queue:
    """Let no further task of a queue begin; what waits stays in the database, what runs goes on.

    Raises NotAllowedError, NotPossibleError (there's no such queue, or it's paused) and ReasonMissingError.
    """
    return _set_paused(name, True, actor=actor, reason=reason)


def resume_queue(name: str, *, actor: User, reason: str) -> Queue:
    """Let a paused queue's tasks begin again; the sweep sends what waited. Raises as `pause_queue` does."""
    return _set_paused(name, False, actor=actor, reason=reason)


@transaction.atomic
def _set_paused(name: str, is_paused: bool, *, actor: User, reason: str) -> Queue:
    rules.require(rules.can_change_queues, actor, None, action="pause" if is_paused else "resume")
    with audit.reason(_checked(reason)):
        if name not in current_app.amqp.queues:
            known = ", ".join(sorted(current_app.amqp.queues))
            raise NotPossibleError(f"There is no queue {name!r}. Queues are: {known}.")
        queue, _ = Queue.objects.select_for_update().get_or_create(name=name)
        if queue.is_paused == is_paused:
            raise NotPossibleError(f"The queue {name} {'is paused already' if is_paused else 'is not paused'}.")
        queue.is_paused, queue.changed_by, queue.reason = is_paused, actor.username, _checked(reason)
        queue.save()
        audit.record("tasks.queue.paused" if is_paused else "tasks.queue.resumed", target=queue)
    return queue


def _revive(run: TaskRun) -> None:
    args, kwargs, options = messages.thaw(run.message or "")
    for used_up in ("retries", "expires"):
        options.pop(used_up, None)
    TaskRun.objects.filter(id=run.id).update(
        outcome="",
        message=messages.freeze(args, kwargs, options),
        max_attempts=F("attempts") + _attempts_of(run.name),
        eta=None,
        sent_at=Now(),
        finished_at=None,
        cancel_requested_at=None,
        error="",
        progress_done=0,
        progress_total=0,
        progress_note="",
    )
    transaction.on_commit(partial(send_or_put_back, run.id, run.name, partial(send_again, run)))


def _attempts_of(name: str) -> int:
    task = current_app.tasks.get(name)
    return int(getattr(task, "most_attempts", _DEFAULT_ATTEMPTS))


def _locked(run_id: uuid.UUID) -> TaskRun:
    return TaskRun.objects.select_for_update(no_key=True).get(id=run_id)


def _checked(reason: str) -> str:
    words = " ".join(reason.split())[:500]
    if not words:
        raise ReasonMissingError(ReasonMissingError.__doc__)
    return words
