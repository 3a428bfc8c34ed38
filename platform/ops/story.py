"""One request as one story: its spans over all processes, its events, tasks, pushes and log lines, joined by its id."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from accounts.models import User
from audit.models import Event
from audit.reading.queries import events_of_request
from ops import findings, gaps, lines, runs, statements, steps
from ops.causes import events_by_span
from ops.findings import Finding
from ops.lines import Line
from ops.pushes import Push, pushes_of
from ops.runs import Task
from ops.statements import Kind
from ops.steps import Span, Step
from ops.timeline import Timeline
from tasks.models import TaskRun
from telemetry.tracing.lines import recent_lines
from telemetry.tracing.store import KEPT_SECONDS, recent_spans

_EVENT_LIMIT = 500
_MOST_TASKS = 100
_MOST_NAMES = 200


@dataclass
class Story:
    """All that is known of a request. `missing` says in sentences what isn't there, and why."""

    request_id: str
    steps: list[Step] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)  # those that no step holds
    event_count: int = 0
    tasks: list[Task] = field(default_factory=list)
    statements: list[Kind] = field(default_factory=list)
    pushes: list[Push] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # of the people that it tells of, by their ids
    linked: list[str] = field(default_factory=list)  # other requests: a socket's handshake, a cause
    timeline: Timeline = field(default_factory=lambda: Timeline([]))
    missing: list[str] = field(default_factory=list)

    @property
    def total_ms(self) -> float:
        """From the first span's beginning to the last one's end."""
        return self.timeline.total_ms

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is known of this id."""
        return not (self.steps or self.event_count or self.tasks or self.lines)


@dataclass
class _Kept:
    """What the store has of a request."""

    spans: list[Span] = field(default_factory=list)
    lost: int = 0
    lines: list[Line] = field(default_factory=list)
    linked: list[str] = field(default_factory=list)
    is_answering: bool = True


def tell(request_id: str) -> Story:
    """Return the story of a request; an unknown id gives an empty one."""
    kept = _read_store(request_id)
    missing: list[str] = []
    if not kept.is_answering:
        missing.append("The store of recent spans doesn't answer, so there is no timeline; the ledger is complete.")
    events = list(events_of_request(request_id, limit=_EVENT_LIMIT + 1))
    if len(events) > _EVENT_LIMIT:
        events = events[:_EVENT_LIMIT]
        missing.append(f"Only the first {_EVENT_LIMIT} ledger events are shown; the ledger holds the rest.")
    rows = list(
        TaskRun.objects.filter(request_id=request_id)
        .defer("message", "carrier")
        .prefetch_related("past_tries")
        .order_by("enqueued_at")[:_MOST_TASKS]
    )
    begin_ns = _beginning(kept.spans, events, rows)
    for line in kept.lines:
        line.at_ms = (line.at_ns - begin_ns) / 1e6 if begin_ns and line.at else 0.0
    placed, left = events_by_span(events, kept.spans)
    drawn = sorted([*kept.spans, *lines.as_spans(kept.lines)], key=lambda span: span["start_ns"])
    rows_drawn = steps.order(drawn, placed, begin_ns) if kept.spans else []
    tasks = runs.tasks_of(kept.spans, rows, begin_ns)
    pushes = pushes_of(kept.spans, begin_ns)
    kinds = statements.by_kind(kept.spans)
    if kept.is_answering:
        missing += gaps.missing_spans(kept.spans, events, kept.lost)
    missing += gaps.missing_tasks(tasks, kept.spans) + gaps.missing_lines(len(kept.lines))
    found = findings.findings_of(
        spans=kept.spans, kinds=kinds, tasks=tasks, pushes=pushes, lines=kept.lines, events=events
    )
    names = _names(kept.spans, pushes)
    return Story(
        request_id=request_id,
        steps=rows_drawn,
        events=left,
        event_count=len(events),
        tasks=tasks,
        statements=kinds,
        pushes=pushes,
        lines=kept.lines,
        findings=_leading(found, rows_drawn),
        summary=_summarise(kept.spans, events, rows, names, begin_ns),
        names=names,
        linked=kept.linked,
        timeline=Timeline(
            (bar[0], bar[0] + bar[1]) for step in rows_drawn if step.lane not in ("wait", "log") for bar in step.bars
        ),
        missing=missing,
    )


def _read_store(request_id: str) -> _Kept:
    kept = _Kept()
    try:
        store = recent_spans()
        kept.spans = store.spans_of(request_id)
        kept.lost = store.lost_of(request_id)
        kept.lines = lines.read(recent_lines().lines_of(request_id))
        kept.linked = _linked(request_id, kept.spans)
    except redis.RedisError:
        kept.is_answering = False
    return kept


def _linked(request_id: str, spans: Sequence[Span]) -> list[str]:
    """The other requests that this one's spans are linked to: a socket's handshake, the cause of a scheduled task."""
    here = {span["trace_id"] for span in spans}
    traces = {link["trace_id"] for span in spans for link in span["links"]} - here
    store = recent_spans()
    found = {store.request_of_trace(trace_id) for trace_id in sorted(traces)[:10]}
    return sorted(found - {"", request_id})


def _beginning(spans: Sequence[Span], events: Sequence[Event], rows: Sequence[TaskRun]) -> int:
    """When the story begins, in nanoseconds since 1970: as the spans tell, and where there's none, as the database."""
    if spans:
        begin: int = min(span["start_ns"] - round(steps.queue_wait_ms(span) * 1e6) for span in spans)
        return begin
    moments = [event.recorded_at for event in events] + [row.enqueued_at for row in rows]
    return round(min(moments).timestamp() * 1e6) * 1_000 if moments else 0


def _leading(found: Sequence[Finding], rows: Sequence[Step]) -> list[Finding]:
    """The findings with the row that shows each; those of several spans in one row lead to that."""
    row_of = {key: step.key for step in rows for key in [*step.keys, step.key]}
    row_of |= {f"event-{event.pk}": step.key for step in rows for event in step.events}
    return [replace(finding, key=row_of.get(finding.key, "")) for finding in found]


def _names(spans: Sequence[Span], pushes: Sequence[Push]) -> dict[str, str]:
    ids = {str(span["attributes"].get("user.id") or "") for span in spans}
    ids |= {one for push in pushes for one in push.user_ids}
    wanted = sorted(int(one) for one in ids if one.isascii() and one.isdigit() and len(one) < 19)[:_MOST_NAMES]
    if not wanted:
        return {}
    return {str(pk): name for pk, name in User.objects.filter(pk__in=wanted).values_list("pk", "username")}


def _summarise(
    spans: Sequence[Span], events: Sequence[Event], rows: Sequence[TaskRun], names: dict[str, str], begin_ns: int
) -> dict[str, Any]:
    root = next((span for span in spans if span["kind"] == "server"), spans[0] if spans else None)
    attributes = root["attributes"] if root else {}
    actor = next((event.actor_label for event in events if event.actor_label), "")
    summary: dict[str, Any] = {
        "name": root["name"] if root else (events[0].operation if events else ""),
        "actor": actor or names.get(str(attributes.get("user.id")), "") or (rows[0].actor_label if rows else ""),
        "origin": _origin(root, events),
        "spans": len(spans),
        "processes": sorted({span["process"] for span in spans if span["process"]}),
        "statements": sum(1 for span in spans if steps.lane_of(span) == "sql"),
        "errors": sum(1 for span in spans if span["status"] == "error"),
        "ledger_events": len(events),
    }
    if begin_ns:
        summary["started_at"] = datetime.fromtimestamp(begin_ns / 1e9, UTC).isoformat()
    if root:
        last_ns = max(span["end_ns"] or span["start_ns"] for span in spans)
        expires = datetime.fromtimestamp(last_ns / 1e9, UTC) + timedelta(seconds=KEPT_SECONDS)
        summary |= {
            "trace_id": root["trace_id"],
            "path": attributes.get("url.path", ""),
            "method": attributes.get("http.request.method", ""),
            "status": attributes.get("http.response.status_code"),
            "duration_ms": round(steps.duration_ms(root), 3),
            "kept_until": expires.isoformat(),
        }
    return summary


def _origin(root: Span | None, events: Sequence[Event]) -> str:
    if root is None:
        return str(events[0].origin or "") if events else ""
    return {"request": "http", "socket": "websocket"}.get(steps.lane_of(root), steps.lane_of(root))
