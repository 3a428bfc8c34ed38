"""A story's background tasks: asked for, begun, tried again and why, ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ops.exceptions import said
from ops.steps import Span, duration_ms, queue_wait_ms
from tasks.models import State, TaskAttempt, TaskRun

_SAME_MS = 500  # the database's clock and the span's may differ by so much
# Celery's words for what came of an attempt, as ours; others, as `revoked`, are the same.
_STATES = {"success": "succeeded", "failure": "failed", "retry": "retried"}


@dataclass
class Attempt:
    """One run of a task. Times in milliseconds, from the story's beginning; None where nothing tells."""

    number: int
    begin_ms: float | None = None
    wait_ms: float | None = None
    duration_ms: float | None = None
    state: str = ""  # succeeded, retried, failed, lost, cancelled, revoked, rejected, running
    reason: str = ""  # why it was to be tried again, or failed
    process: str = ""
    key: str = ""  # its row in the waterfall


@dataclass
class Task:
    """One task and all its attempts."""

    id: str
    name: str
    queue: str = ""
    state: str = ""
    state_label: str = ""
    asked_ms: float | None = None
    ended_ms: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    error: str = ""
    parent_id: str = ""

    @property
    def retries(self) -> list[Attempt]:
        """The attempts that were followed by another, or are to be."""
        return [attempt for attempt in self.attempts if attempt.state == "retried"]

    @property
    def has_failed(self) -> bool:
        """Whether it was given up."""
        return self.state == State.DEAD or (not self.state and bool(self.attempts) and _last(self) == "failed")


def tasks_of(spans: Sequence[Span], rows: Sequence[TaskRun], begin_ns: int) -> list[Task]:
    """Return the tasks of a story, in the order in which they were asked for.

    A row brings its attempts; the spans tell more of those that they know.
    """
    found: dict[str, Task] = {str(row.pk): _of_row(row, begin_ns) for row in rows}
    for span in spans:
        attributes = span["attributes"]
        task_id = str(attributes.get("messaging.message.id") or "")
        if attributes.get("messaging.system") != "celery" or not task_id:
            continue
        task = found.setdefault(task_id, Task(task_id, str(attributes.get("celery.task", ""))))
        task.queue = task.queue or str(attributes.get("messaging.destination.name", ""))
        match attributes.get("messaging.operation.name"):
            case "send" if task.asked_ms is None:
                task.asked_ms = (span["start_ns"] - begin_ns) / 1e6
            case "process":
                task.attempts.append(_of_span(span, begin_ns))
    kept = {str(row.pk): [_of_attempt(attempt, begin_ns) for attempt in row.tries] for row in rows}
    for task in found.values():
        # A worker that was killed left no span, but its attempt has a row.
        if len(task.attempts) < len(kept.get(task.id, ())):
            task.attempts = _merged(task.attempts, kept[task.id])
        task.attempts.sort(key=lambda attempt: attempt.number)
        if not task.state and task.attempts:
            task.state_label = _last(task).capitalize()
    return sorted(found.values(), key=lambda task: (task.asked_ms is None, task.asked_ms or 0.0))


def _last(task: Task) -> str:
    return task.attempts[-1].state


def _of_row(row: TaskRun, begin_ns: int) -> Task:
    return Task(
        id=str(row.pk),
        name=row.name,
        queue=row.queue,
        state=row.state,
        state_label=row.state_label,
        asked_ms=_since(row.enqueued_at, begin_ns),
        ended_ms=_since(row.finished_at, begin_ns) if row.finished_at else None,
        error=row.error,
        parent_id=row.parent_task_id,
    )


def _of_span(span: Span, begin_ns: int) -> Attempt:
    attributes = span["attributes"]
    retries = attributes.get("celery.retries")
    retry = next((note for note in span["events"] if note["name"] == "retry"), None)
    failure = next((note for note in reversed(span["events"]) if note["name"] == "exception"), None)
    state = str(attributes.get("celery.state") or "").lower()
    if retry is not None:
        state = "retried"
    elif not state:
        state = "failed" if span["status"] == "error" else "succeeded"
    state = _STATES.get(state, state)
    return Attempt(
        number=int(retries) + 1 if isinstance(retries, int) else 1,
        begin_ms=(span["start_ns"] - begin_ns) / 1e6,
        wait_ms=queue_wait_ms(span),
        duration_ms=duration_ms(span),
        state=state,
        reason=_reason(retry, failure, span) if state != "succeeded" else "",
        process=span["process"],
        key=span["span_id"],
    )


def _reason(retry: dict[str, Any] | None, failure: dict[str, Any] | None, span: Span) -> str:
    if retry is not None and (reason := retry["attributes"].get("reason")):
        return str(reason)
    if failure is not None:
        return said(failure["attributes"])
    return str(span.get("status_detail") or span["attributes"].get("error.type") or "")


def _of_attempt(attempt: TaskAttempt, begin_ns: int) -> Attempt:
    return Attempt(
        number=attempt.number,
        begin_ms=_since(attempt.started_at, begin_ns),
        duration_ms=attempt.run_seconds * 1_000,
        state=attempt.outcome or "running",
        reason=attempt.error,
        process=attempt.worker,
    )


def _merged(told: Sequence[Attempt], kept: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts that the database keeps, each with what its span tells where there's one."""
    left = sorted(told, key=lambda attempt: attempt.begin_ms or 0.0)
    merged = []
    for attempt in kept:
        same = next((one for one in left if abs((one.begin_ms or 0.0) - (attempt.begin_ms or 0.0)) < _SAME_MS), None)
        if same is None:
            merged.append(attempt)
        else:
            left.remove(same)
            merged.append(replace(same, number=attempt.number))
    return merged + left


def _since(moment: datetime, begin_ns: int) -> float | None:
    return moment.timestamp() * 1_000 - begin_ns / 1e6 if begin_ns else None
