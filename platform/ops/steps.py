"""The rows of a waterfall: spans of all processes below what caused them, waits in queues, and log lines between."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audit.models import Event
from ops.exceptions import traceback
from telemetry import conf
from telemetry.tracing.attributes import CALL_SITE, FINGERPRINT

Span = dict[str, Any]  # a record of the store of recent spans

DEEPEST = 12  # what lies deeper is drawn here
_ALIKE_FROM = 4  # so many statements of one kind below one piece of work are one row
_TOLD_ELSEWHERE = frozenset({"db.query.text", "db.query.summary", "db.system.name", FINGERPRINT, CALL_SITE})


@dataclass
class Step:
    """One row: a span, several of one kind, the wait of a task in its queue, or a log line.

    Times are milliseconds since the story's beginning; `bars` has one of each span that the row stands for.
    """

    key: str
    name: str
    lane: str  # request, socket, task, wait, push, sql, cache, call, log, other: what the row is drawn as
    process: str
    depth: int
    begin_ms: float
    duration_ms: float
    is_error: bool = False
    is_repeated: bool = False  # one query too often: an N+1
    about: str = ""  # the most telling of its details, in a few words
    detail: str = ""  # a statement's text
    attributes: dict[str, Any] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    bars: list[tuple[float, float]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)  # of the spans that it stands for
    has_below: bool = False
    is_elsewhere: bool = False  # in another process than the row that holds it
    closes: int = 0  # how many rows that hold others end after this one

    @property
    def count(self) -> int:
        """How many spans the row stands for."""
        return len(self.bars)


def lane_of(span: Span) -> str:
    """Return what a span is drawn as."""
    attributes = span["attributes"]
    if span["kind"] == "log":
        return "log"
    if attributes.get("cache.name"):
        return "cache"
    if attributes.get("db.system.name"):
        return "sql"
    if attributes.get("celery.task"):
        return "task"
    match attributes.get("messaging.system"):
        case "channels":
            return "push"
        case "websocket":
            return "socket"
    if span["name"].startswith("WEBSOCKET"):
        return "socket"
    return {"server": "request", "client": "call"}.get(span["kind"], "other")


def duration_ms(span: Span) -> float:
    """Return how long a span took, in milliseconds; 0 of one that has no end."""
    return float((span["end_ns"] or span["start_ns"]) - span["start_ns"]) / 1e6


def queue_wait_ms(span: Span) -> float:
    """Return how long a task waited for its worker, in milliseconds; 0 of what isn't queued."""
    seconds = span["attributes"].get("messaging.queue_wait_seconds")
    return float(seconds) * 1_000 if isinstance(seconds, int | float) else 0.0


def parents(spans: Sequence[Span]) -> dict[str, str]:
    """Return below which span each one hangs: its parent, or else what it is linked to; empty for none that is here.

    A task that waited long, or a fan-out, is linked to its cause, and no child of it. A later attempt of a task hangs
    beside the first, though the one before it sent it.
    """
    first_attempts: dict[str, str] = {}
    begins = {span["span_id"]: span["start_ns"] for span in spans}
    found: dict[str, str] = {}
    for span in spans:
        above: str = span["parent_id"] if span["parent_id"] in begins else ""
        if not above:
            # Only to what began before: two that link each other would hang nowhere.
            links = [link["span_id"] for link in span["links"]]
            above = next((one for one in links if begins.get(one, span["start_ns"]) < span["start_ns"]), "")
        if above and (task_id := _run_of(span)):
            above = found.get(first_attempts.setdefault(task_id, span["span_id"]), above)
        found[span["span_id"]] = above
    return found


def _run_of(span: Span) -> str:
    """The id of the task that a span is an attempt of; empty for another span."""
    attributes = span["attributes"]
    is_run = attributes.get("celery.task") and attributes.get("messaging.operation.name") == "process"
    return str(attributes.get("messaging.message.id") or "") if is_run else ""


def order(spans: Sequence[Span], events: Mapping[str, list[Event]], begin_ns: int) -> list[Step]:
    """Return the rows of a story, each below its cause, in the order of their beginnings.

    `spans` are sorted by their beginnings, `events` those of the ledger by the span that caused them.
    """
    above = parents(spans)
    children: dict[str, list[Span]] = {}
    for span in spans:
        children.setdefault(above[span["span_id"]], []).append(span)
    steps: list[Step] = []
    seen: set[str] = set()
    # All of them at last: what hangs in a circle, by broken ids, is a beginning as well.
    for root in [*children.get("", []), *spans]:
        waiting = [([root], 0)]
        while waiting:
            group, depth = waiting.pop()
            if group[0]["span_id"] in seen:
                continue
            seen.update(span["span_id"] for span in group)
            steps += _steps_of(group, depth, begin_ns, events)
            below = _grouped(children.get(group[0]["span_id"], []), children, events)
            waiting += [(one, min(depth + 1, DEEPEST)) for one in reversed(below)]
    return _nested(steps)


def _grouped(spans: Sequence[Span], children: Mapping[str, Any], events: Mapping[str, Any]) -> list[list[Span]]:
    """Return the spans below one piece of work, each by itself or, where there are many of one kind, together."""
    kinds: dict[str, list[Span]] = {}
    for span in spans:
        is_plain = not (span["events"] or span["status"] == "error" or span["span_id"] in children)
        if is_plain and span["span_id"] not in events and (kind := _kind_of(span)):
            kinds.setdefault(kind, []).append(span)
    alike = [group for group in kinds.values() if len(group) >= _ALIKE_FROM]
    grouped = {one["span_id"] for group in alike for one in group}
    single = [[span] for span in spans if span["span_id"] not in grouped]
    return sorted([*single, *alike], key=lambda group: group[0]["start_ns"])


def _kind_of(span: Span) -> str:
    lane = lane_of(span)
    if lane not in ("sql", "cache", "call"):
        return f"push {span['name']}" if lane == "push" and span["kind"] == "consumer" else ""
    attributes = span["attributes"]
    return f"{lane} {attributes.get(FINGERPRINT) or span['name']} {attributes.get('cache.key_template', '')}"


def _steps_of(group: Sequence[Span], depth: int, begin_ns: int, events: Mapping[str, list[Event]]) -> Iterator[Step]:
    span = group[0]
    attributes = span["attributes"]
    begin_ms = (span["start_ns"] - begin_ns) / 1e6
    wait_ms = queue_wait_ms(span)
    if wait_ms:
        yield Step(
            key=f"{span['span_id']}-wait",
            name="waiting in queue",
            lane="wait",
            process=str(attributes.get("messaging.destination.name", "")),
            depth=depth,
            begin_ms=begin_ms - wait_ms,
            duration_ms=wait_ms,
            bars=[(begin_ms - wait_ms, wait_ms)],
        )
    step = _row_of(group, depth, begin_ns)
    step.events = list(events.get(span["span_id"], ()))
    yield step


def _row_of(spans: Sequence[Span], depth: int, begin_ns: int) -> Step:
    first = spans[0]
    attributes = first["attributes"]
    lane = lane_of(first)
    bars = [((span["start_ns"] - begin_ns) / 1e6, duration_ms(span)) for span in spans]
    is_query = lane == "sql" and attributes.get("db.operation.name") == "SELECT"
    return Step(
        key=first["span_id"],
        name=first["name"],
        lane=lane,
        process=first["process"],
        depth=depth,
        begin_ms=bars[0][0],
        duration_ms=sum(duration for _, duration in bars),
        is_error=any(span["status"] == "error" for span in spans),
        is_repeated=is_query and len(spans) > conf.repeats_allowed(),
        about=_about(lane, spans),
        detail=str(attributes.get("db.query.text", "")),
        attributes={key: value for key, value in attributes.items() if _is_told(key, value)},
        notes=[
            {
                "name": note["name"],
                "at_ms": round((note["time_ns"] - begin_ns) / 1e6, 3),
                **note["attributes"],
                **({"traceback": traceback(note["attributes"])} if note["name"] == "exception" else {}),
            }
            for note in first["events"]
        ],
        bars=bars,
        keys=[span["span_id"] for span in spans],
    )


def _is_told(key: str, value: Any) -> bool:
    return key not in _TOLD_ELSEWHERE and value not in ("", None, [])


def _about(lane: str, spans: Sequence[Span]) -> str:
    attributes = spans[0]["attributes"]
    told: list[str] = []
    if lane == "sql":
        told.append(str(attributes.get(CALL_SITE) or ""))
        rows = [span["attributes"].get("db.response.returned_rows") for span in spans]
        if known := [row for row in rows if isinstance(row, int)]:
            told.append(f"{sum(known):,} row{'' if sum(known) == 1 else 's'}")
    elif lane == "cache":
        told.append(str(attributes.get("cache.key_template") or ""))
        hits = [span["attributes"].get("cache.hit") for span in spans]
        if (asked := len([hit for hit in hits if hit is not None])) > 1:
            told.append(f"{hits.count(True)} of {asked} hit")
        elif asked:
            told.append("hit" if hits[0] else "miss")
    elif lane == "call":
        told += [str(attributes.get(key) or "") for key in ("server.address", "http.response.status_code")]
    elif lane == "task":
        told.append(str(attributes.get("celery.task") or "") if spans[0]["kind"] == "producer" else "")
        told.append(f"attempt {int(retries) + 1}" if (retries := attributes.get("celery.retries")) else "")
        told.append(str(attributes.get("celery.link") or ""))
    elif lane == "log":
        told.append(str(attributes.get("about") or ""))
    elif lane == "push":
        told.append(str(attributes.get("messaging.destination.name") or ""))
        if recipients := attributes.get("broadcast.recipients"):
            told.append(f"{recipients:,} socket{'' if recipients == 1 else 's'}")
    return " · ".join(filter(None, told))


def _nested(steps: list[Step]) -> list[Step]:
    """Tell each row whether the next one is within it, how many end with it, and whether its process is another."""
    processes = [""] * (DEEPEST + 2)  # of the rows that hold the present one
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        next_depth = after.depth if after is not None else 0
        step.has_below = next_depth > step.depth
        step.closes = max(0, step.depth - next_depth)
        step.is_elsewhere = bool(step.process) and step.process != processes[step.depth]
        processes[step.depth + 1] = step.process or processes[step.depth]
    return steps
