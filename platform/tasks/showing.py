"""Runs as data, for whoever watches them over a socket; times and durations are the reader's to format."""

from datetime import datetime
from typing import Any

from tasks.listing import key_of
from tasks.models import TaskAttempt, TaskRun
from telemetry.redaction import hide, redact

_LONGEST_ERROR = 300


def as_row(run: TaskRun) -> dict[str, Any]:
    """Return what a row of the list shows."""
    return {
        "id": str(run.pk),
        "key": key_of(run),
        "name": run.name,
        "queue": run.queue,
        "state": run.state,
        "state_label": run.state_label,
        "attempts": run.attempts,
        "enqueued_at": _text(run.enqueued_at),
        "started_at": _text(run.started_at),
        "finished_at": _text(run.finished_at),
        "queue_wait_seconds": run.queue_wait_seconds,
        "error": run.error[:_LONGEST_ERROR],
        "actor_label": run.actor_label or run.actor_type,
        "request_id": run.request_id,
        "progress": progress_of(run),
    }


def as_whole(run: TaskRun) -> dict[str, Any]:
    """Return what the page of one run shows of its life, its attempts among it."""
    return {
        **as_row(run),
        "error": run.error,
        "cancel_requested_at": _text(run.cancel_requested_at),
        "tries": [_as_try(attempt) for attempt in run.tries],
    }


def progress_of(run: TaskRun) -> dict[str, Any] | None:
    """Return how far a run has come; None where it never said."""
    if not (run.progress_done or run.progress_total or run.progress_note):
        return None
    return {"done": run.progress_done, "total": run.progress_total, "note": hide(run.progress_note)}


def result_of(run: TaskRun) -> Any:
    """Return what a run returned, without secrets and cut to what people can read."""
    return redact(run.result)


def _as_try(attempt: TaskAttempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "worker": attempt.worker,
        "started_at": _text(attempt.started_at),
        "ended_at": _text(attempt.ended_at),
        "error": attempt.error,
    }


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
