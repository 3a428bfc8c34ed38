"""Effects that a task makes once, however often it's run."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from tasks.attempt import running
from tasks.errors import StaleAttemptError
from tasks.models import TaskEffect, TaskRun


@contextmanager
def once(name: str = "") -> Iterator[bool]:
    """Run a block in a transaction with the note that it was done; gives False where an earlier attempt did it.

        with once("charge") as is_first:
            if is_first:
                account.charge(…)

    The note, the block's writes and the check that this attempt still has its lease are one transaction: all or none.
    What isn't in the database (an e-mail, a call) can't be undone: make it last, and give it `key_of`.

    Raises:
        StaleAttemptError: another worker has this task by now.
        OutsideTaskError: no task is running here.
    """
    attempt = running()
    with transaction.atomic():
        held = TaskRun.objects.select_for_update(no_key=True).filter(
            id=attempt.run_id, attempts=attempt.number, outcome="", lease_expires_at__isnull=False
        )
        if not held.values("id").first():
            raise StaleAttemptError(StaleAttemptError.__doc__)
        is_made = TaskEffect.objects.filter(run_id=attempt.run_id, name=name[:100]).exists()
        if not is_made:  # nobody else inserts it: the run's row is locked
            TaskEffect.objects.create(run_id=attempt.run_id, name=name[:100])
        yield not is_made


def key_of(name: str = "") -> str:
    """Return a key for an effect outside the database, the same for each attempt: for receivers that drop repeats.

    Raises:
        OutsideTaskError: no task is running here.
    """
    return f"{running().run_id}:{name}"
