"""What a task's message carries of its cause: a context, a `traceparent`, when it was sent, and why it's a link."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from celery._state import _task_stack
from opentelemetry import trace
from opentelemetry.trace import SpanContext

from telemetry.context import current, to_carrier
from telemetry.tracing import traceparent

CONTEXT_HEADER = "glasshouse_context"
TRACEPARENT_HEADER = "traceparent"
# The ids of the run's span, made by the worker's parent, so that it can tell of a run that its child can't.
IDS_HEADER = "telemetry_ids"
LINK_KEY = "link"
SENT_AT_KEY = "sent_at"
# A child span is for what follows at once; what is put off longer gets a trace of its own, linked.
_LONGEST_CHILD_DELAY_SECONDS = 60


def carried_headers() -> dict[str, Any]:
    """Return the headers that let a task published later still belong to the present context."""
    return {CONTEXT_HEADER: to_carrier(current()), TRACEPARENT_HEADER: traceparent.of_current()}


def carried_by(request: Any) -> tuple[Mapping[str, Any], SpanContext | None]:
    """Return the carrier of a task's request, and the span that caused it.

    A task that is run eagerly carries nothing: it belongs to what is running here.
    """
    headers = request.headers or {}
    carrier = getattr(request, CONTEXT_HEADER, None) or headers.get(CONTEXT_HEADER)
    parent = traceparent.parse(getattr(request, TRACEPARENT_HEADER, None) or headers.get(TRACEPARENT_HEADER) or "")
    if request.is_eager and parent is None:
        span = trace.get_current_span().get_span_context()
        return carrier or to_carrier(current()), span if span.is_valid else None
    return carrier if isinstance(carrier, Mapping) else {}, parent


def link_reason(app: Any, headers: Mapping[str, Any], given: Mapping[str, Any], task_id: str, now: float) -> str:
    """Return why a message's run begins a trace of its own, linked to its cause; empty where it's the cause's child.

    `headers` are Celery's, `given` those of the caller; `now` is in seconds since the epoch.
    """
    if headers.get("retries"):
        return "retry"  # as a child each attempt would lie a level deeper
    if given.get("celery_beat_task"):
        return "beat"
    task = _task_stack.top
    chord = task.request.chord if task is not None else None
    if chord and (chord.get("options") or {}).get("task_id") == task_id:
        return "chord"  # which Celery counts to a group too
    if headers.get("group"):
        return "group"
    if (eta := headers.get("eta")) and timestamp_of(app, eta) - now > _LONGEST_CHILD_DELAY_SECONDS:
        return "eta"
    return ""


def queue_wait(app: Any, carrier: Mapping[str, Any], eta: str | None, now: float) -> float | None:
    """Return the seconds from publish to start, where known; what was asked for by an ETA isn't waiting."""
    try:
        sent = float(carrier[SENT_AT_KEY])
    except (KeyError, TypeError, ValueError):
        return None
    return max(0.0, now - (max(sent, timestamp_of(app, eta)) if eta else sent))


def timestamp_of(app: Any, text: str) -> float:
    """Return an ISO 8601 time, of the application's zone unless it tells its own, in seconds since the epoch.

    Raises ValueError where it is none.
    """
    value = datetime.fromisoformat(text)
    return (value if value.tzinfo else value.replace(tzinfo=app.timezone)).timestamp()
