"""What a story doesn't tell, and why: not sampled, lost on the way, not there yet, or expired."""

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from audit.models import Event
from ops.runs import Task
from ops.steps import Span
from telemetry.tracing.attributes import SAMPLING_DECISION, SPANS_DROPPED
from telemetry.tracing.lines import LINES_A_REQUEST
from telemetry.tracing.store import KEPT_SECONDS, SPANS_A_REQUEST

_DECISIONS = {"error": "it failed", "slow": "it was slow"}
_NOT_BEGUN = ("queued", "published")


def missing_spans(spans: Sequence[Span], events: Sequence[Event], lost: int) -> list[str]:
    """Return in sentences which spans aren't here; `lost` is how many are known to have been lost on their way."""
    found: list[str] = []
    if not spans:
        if events:
            found.append(_why_none(events))
    elif len(spans) >= SPANS_A_REQUEST:
        found.append(f"Only the first {SPANS_A_REQUEST:,} spans of a request are kept.")
    decisions = {str(span["attributes"].get(SAMPLING_DECISION, "")) for span in spans} - {""}
    for decision in sorted(decisions):
        why = _DECISIONS.get(decision, decision)
        found.append(
            f"The trace wasn't sampled. It was kept because {why}, and what went well in other processes wasn't."
        )
    beyond = sum(int(span["attributes"].get(SPANS_DROPPED) or 0) for span in spans)
    if beyond:
        found.append(f"{_spans(beyond)} dropped: a piece of work keeps the first 500 of its statements and calls.")
    if lost:
        found.append(f"{_spans(lost)} dropped on the way here: a queue was full, or the store didn't take them.")
    known = {span["span_id"] for span in spans}
    if orphans := [span for span in spans if span["parent_id"] and span["parent_id"] not in known]:
        found.append(
            f"{_spans(len(orphans))} caused by one that isn't here: it's still running, was lost, or is another's."
        )
    return found


def missing_tasks(tasks: Sequence[Task], spans: Sequence[Span]) -> list[str]:
    """Return in sentences which tasks have not begun, or ran without a trace."""
    found = []
    for task in tasks:
        if task.state in _NOT_BEGUN and not task.attempts:
            found.append(f"Task {task.name} is {task.state}: no worker has begun it.")
        elif spans and task.attempts and not any(attempt.key for attempt in task.attempts):
            found.append(f"Task {task.name} ran without spans that are kept: what is told of it is from the ledger.")
    return found


def missing_lines(count: int) -> list[str]:
    """Return in a sentence whether there may be more log lines than are kept."""
    return [f"Only the first {LINES_A_REQUEST} log lines are kept."] if count >= LINES_A_REQUEST else []


def _why_none(events: Sequence[Event]) -> str:
    age = timezone.now() - max(event.recorded_at for event in events)
    if age > timedelta(seconds=KEPT_SECONDS):
        hours = f"{KEPT_SECONDS // 3_600} hour{'' if KEPT_SECONDS < 7_200 else 's'}"
        return f"No spans: they expired, since spans are kept for {hours}. The ledger is complete."
    return "No spans: the request was not sampled, or they are not here yet. The ledger is complete."


def _spans(count: int) -> str:
    return f"{count:,} span was" if count == 1 else f"{count:,} spans were"
