"""Effects that a task makes once, however often it's run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from tasks import conf, statements, worker
from tasks.attempt import Attempt, note_stale, running


@contextmanager
def once(name: str = "") -> Iterator[bool]:
    """Run a block in a transaction with the note that it was done; gives False where an earlier attempt did it.

        with once("charge") as is_first:
            if is_first:
                account.charge(…)

    The note, the block's writes and the check that this attempt still has its lease are one transaction: all or none.
    What isn't in the database (an e-mail, a call) can't be undone: make it last, and give it `key_of`. Keep the block
    short: while it lasts nobody can cancel the run, and the database ends it where it stands still for two leases.

    Raises:
        StaleAttemptError: another worker has this task by now.
        OutsideTaskError: no task is running here.
    """
    attempt = running()
    begun = time.monotonic()
    with transaction.atomic():
        _hold(attempt)
        # Nobody else inserts it: the run's row is locked.
        yield bool(statements.rows_of("mark", run_id=attempt.run_id, effect=name[:100]))
        if time.monotonic() - begun > conf.lease_seconds() / 4:
            # The keeper leaves locked rows out, and the lease mustn't be over at the commit.
            statements.count_of(
                "renew", run_ids=[attempt.run_id], worker=worker.name(), lease_seconds=conf.lease_seconds()
            )


def _hold(attempt: Attempt) -> None:
    held = statements.rows_of(
        "hold", run_id=attempt.run_id, attempt=attempt.number, idle_milliseconds=statements.standstill_milliseconds()
    )
    if not held:
        raise note_stale(attempt.run_id, attempt.number)


def key_of(name: str = "") -> str:
    """Return a key for an effect outside the database, the same for each attempt: for receivers that drop repeats.

    Raises:
        OutsideTaskError: no task is running here.
    """
    return f"{running().run_id}:{name}"
