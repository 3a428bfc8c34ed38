"""One request as one story: its spans over all processes, its ledger events, its tasks, joined by its id."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import redis

from audit.models import Event
from audit.reading import showing
from audit.reading.access import Access
from audit.reading.queries import events_of_request
from tasks.models import TaskRun
from telemetry.tracing.store import recent_spans

_EVENT_LIMIT = 500
# Two clocks that one machine's database and processes read are this close.
_CLOCK_SLACK_NS = 1_000_000


@dataclass
class Step:
    """One row of the waterfall: a span, or the wait of a task in its queue. Times are offsets from the beginning."""

    key: str
    name: str
    lane: str  # request, sql, task, wait, push, other: what the row is drawn as
    process: str
    depth: int
    begin_ms: float
    duration_ms: float
    is_error: bool = False
    detail: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass
class Story:
    """All that is known of a request. `missing` says in sentences what isn't there, and why."""

    request_id: str
    steps: list[Step]
    events: list[Event]  # those that no step holds
    event_count: int
    tasks: list[TaskRun]
    summary: dict[str, Any]
    total_ms: float
    missing: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is known of this id."""
        return not (self.steps or self.event_count or self.tasks)


def tell(request_id: str) -> Story:
    """Return the story of a request; an unknown id gives an empty one."""
    missing: list[str] = []
    try:
        spans = recent_spans().spans_of(request_id)
    except redis.RedisError:
        spans = []
        missing.append("The store of recent spans doesn't answer, so there is no timeline; the ledger is complete.")
    events = list(events_of_request(request_id, limit=_EVENT_LIMIT + 1))
    if len(events) > _EVENT_LIMIT:
        events = events[:_EVENT_LIMIT]
        missing.append(f"Only the first {_EVENT_LIMIT} ledger events are shown; the ledger holds the rest.")
    tasks = list(TaskRun.objects.filter(request_id=request_id).order_by("enqueued_at")[:100])
    if events and not spans and not missing:
        missing.append("No spans: the request was not sampled, or is older than an hour. The ledger is complete.")
    steps = _order(spans)
    begin_ns = min((span["start_ns"] for span in spans), default=0)
    left = _attach(events, spans, steps)
    _mark_missing_work(tasks, spans, missing)
    return Story(
        request_id=request_id,
        steps=steps,
        events=left,
        event_count=len(events),
        tasks=tasks,
        summary=_summarise(spans, events, begin_ns),
        total_ms=max((step.begin_ms + step.duration_ms for step in steps), default=0.0),
        missing=missing,
    )


def as_json(story: Story, access: Access) -> dict[str, Any]:
    """Return the story as JSON-able data, with what `access` shows of its events."""

    def event(row: Event) -> dict[str, Any]:
        return {
            "id": row.pk,
            "recorded_at": row.recorded_at.isoformat(),
            "action": row.action,
            "outcome": row.outcome,
            "object": f"{row.object_type}/{row.object_id}" if row.object_type else "",
            "actor": row.actor_label or row.actor_type,
            "origin": row.origin,
            "task_id": row.task_id,
            "changes": showing.differences(row, access),
        }

    return {
        "request_id": story.request_id,
        "summary": story.summary,
        "total_ms": round(story.total_ms, 3),
        "steps": [
            {
                "name": step.name,
                "lane": step.lane,
                "process": step.process,
                "depth": step.depth,
                "begin_ms": round(step.begin_ms, 3),
                "duration_ms": round(step.duration_ms, 3),
                "is_error": step.is_error,
                "detail": step.detail,
                "attributes": step.attributes,
                "notes": step.notes,
                "events": [event(row) for row in step.events],
            }
            for step in story.steps
        ],
        "events": [event(row) for row in story.events],
        "tasks": [
            {
                "id": str(task.pk),
                "name": task.name,
                "state": task.state,
                "attempts": task.attempts,
                "enqueued_at": _iso(task.enqueued_at),
                "started_at": _iso(task.started_at),
                "finished_at": _iso(task.finished_at),
                "error": task.error,
            }
            for task in story.tasks
        ],
        "missing": story.missing,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _order(spans: list[dict[str, Any]]) -> list[Step]:
    """Return the spans as rows, each below its parent, in the order of their beginnings."""
    known = {span["span_id"] for span in spans}
    children: dict[str, list[dict[str, Any]]] = {}
    for span in spans:
        # A span that is linked rather than a child (a retry, a fan-out) hangs below what it links to.
        links = [link["span_id"] for link in span["links"] if link["span_id"] in known]
        parent = span["parent_id"] if span["parent_id"] in known else (links[0] if links else "")
        children.setdefault(parent, []).append(span)
    begin_ns = min((span["start_ns"] for span in spans), default=0)
    steps: list[Step] = []
    waiting = [(span, 0) for span in reversed(children.get("", []))]
    while waiting:
        span, depth = waiting.pop()
        steps += _steps_of(span, depth, begin_ns)
        waiting += [(child, depth + 1) for child in reversed(children.get(span["span_id"], []))]
    return steps


def _steps_of(span: dict[str, Any], depth: int, begin_ns: int) -> list[Step]:
    attributes = dict(span["attributes"])
    begin_ms = (span["start_ns"] - begin_ns) / 1e6
    step = Step(
        key=span["span_id"],
        name=span["name"],
        lane=_lane(span),
        process=span["process"],
        depth=min(depth, 8),
        begin_ms=begin_ms,
        duration_ms=((span["end_ns"] or span["start_ns"]) - span["start_ns"]) / 1e6,
        is_error=span["status"] == "error",
        detail=str(attributes.pop("db.query.text", "")),
        attributes={key: value for key, value in attributes.items() if value not in ("", None)},
        notes=[
            {"name": note["name"], "at_ms": round((note["time_ns"] - begin_ns) / 1e6, 3), **note["attributes"]}
            for note in span["events"]
        ],
    )
    wait_ms = float(attributes.get("messaging.queue_wait_seconds", 0)) * 1_000
    if not wait_ms:
        return [step]
    wait = Step(
        key=f"{step.key}-wait",
        name="waiting in queue",
        lane="wait",
        process=str(attributes.get("messaging.destination.name", "")),
        depth=step.depth,
        begin_ms=begin_ms - wait_ms,
        duration_ms=wait_ms,
    )
    return [wait, step]


def _lane(span: dict[str, Any]) -> str:
    system = span["attributes"].get("messaging.system", "")
    if span["attributes"].get("db.system.name"):
        return "sql"
    if system == "celery":
        return "task"
    if system in ("channels", "websocket"):
        return "push"
    return "request" if span["kind"] == "server" else "other"


def _attach(events: list[Event], spans: list[dict[str, Any]], steps: list[Step]) -> list[Event]:
    """Put each event at the statement that caused it, or at its work's span; return those that have neither."""
    by_key = {step.key: step for step in steps}
    statements: dict[str, list[dict[str, Any]]] = {}
    for span in spans:
        if span["attributes"].get("db.system.name"):
            statements.setdefault(span["trace_id"], []).append(span)
    left = []
    for event in events:
        recorded_ns = int(event.recorded_at.timestamp() * 1_000_000) * 1_000
        cause = next(
            (
                span["span_id"]
                for span in statements.get(event.trace_id or "", [])
                if span["start_ns"] - _CLOCK_SLACK_NS <= recorded_ns <= (span["end_ns"] or 0)
            ),
            event.span_id,
        )
        if cause in by_key:
            by_key[cause].events.append(event)
        else:
            left.append(event)
    return left


def _mark_missing_work(tasks: list[TaskRun], spans: list[dict[str, Any]], missing: list[str]) -> None:
    seen = {
        span["attributes"].get("messaging.message.id")
        for span in spans
        if span["attributes"].get("messaging.operation.name") == "process"
    }
    for task in tasks:
        if str(task.pk) not in seen and task.started_at is None:
            missing.append(f"Task {task.name} is {task.state}: it has not begun.")


def _summarise(spans: list[dict[str, Any]], events: list[Event], begin_ns: int) -> dict[str, Any]:
    root = next((span for span in spans if span["kind"] == "server"), spans[0] if spans else None)
    actor = next((event.actor_label for event in events if event.actor_label), "")
    summary: dict[str, Any] = {
        "name": root["name"] if root else (events[0].operation if events else ""),
        "actor": actor,
        "spans": len(spans),
        "processes": sorted({span["process"] for span in spans if span["process"]}),
        "statements": sum(1 for span in spans if span["attributes"].get("db.system.name")),
        "errors": sum(1 for span in spans if span["status"] == "error"),
        "ledger_events": len(events),
    }
    if root:
        attributes = root["attributes"]
        summary |= {
            "trace_id": root["trace_id"],
            "started_at": datetime.fromtimestamp(begin_ns / 1e9).astimezone().isoformat(),
            "path": attributes.get("url.path", ""),
            "status": attributes.get("http.response.status_code"),
            "duration_ms": round(((root["end_ns"] or root["start_ns"]) - root["start_ns"]) / 1e6, 3),
        }
    return summary
