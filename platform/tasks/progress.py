"""How far a task has come, for those who wait for it; and whether it's still wanted."""

import time

from celery import current_task

from tasks import statements
from tasks.attempt import Attempt, attempt_of, note_stale
from tasks.errors import TaskCancelledError
from tasks.messages import storable

_SECONDS_BETWEEN = 0.5
_LAST = "glasshouse_reported"


def report(done: int, total: int = 0, note: str = "") -> None:
    """Note that `done` of `total` are done. Call it as often as you like: it writes twice a second, and the last one.

    Outside of a task that has a row, as in a test, it does nothing. Within a transaction nobody sees it before the
    commit.

    Raises:
        TaskCancelledError: somebody cancelled the task. Let it pass, and nothing more is done.
        StaleAttemptError: another worker has this task by now.
    """
    attempt = attempt_of(current_task.request) if current_task else None
    if attempt is None:
        return
    request = current_task.request
    last = getattr(request, _LAST, None)
    now = time.monotonic()
    if last is not None and now - last < _SECONDS_BETWEEN and not (total and done >= total):
        return
    setattr(request, _LAST, now)
    _write(attempt, done, total, note)


def _write(attempt: Attempt, done: int, total: int, note: str) -> None:
    rows = statements.rows_of(
        "progress",
        run_id=attempt.run_id,
        attempt=attempt.number,
        done=max(0, done),
        total=max(0, total),
        note=storable(note)[:200],
    )
    if not rows:
        raise note_stale(attempt.run_id, attempt.number)
    if rows[0][0]:
        raise TaskCancelledError(TaskCancelledError.__doc__)
