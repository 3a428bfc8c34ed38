"""The ways to a request: by its own id, its trace, one of its tasks, who asked, or an object that it changed."""

import re
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import redis

from accounts.models import User
from audit.models import Event
from audit.reading import filters, queries
from audit.reading.access import Access
from audit.reading.cursors import Cursor
from tasks.models import TaskRun
from telemetry.context import is_request_id
from telemetry.tracing.store import recent_spans

_OBJECT = re.compile(r"(?P<type>[a-z_]\w*\.\w+)[/ ](?P<id>\S.*)", re.I)
_TRACE = re.compile(r"[0-9a-f]{32}", re.I)
_LEDGER_EVENTS = 300
_ROWS = 60
# What may be asked for sees no values of events, so which types it may read is no matter.
_ACCESS = Access(object_types=None)


@dataclass
class Row:
    """A request in a list. `is_kept` says whether its spans are here; `actions` are those of the ledger."""

    request_id: str
    name: str = ""
    path: str = ""
    status: int | None = None
    duration_ms: float | None = None
    statements: int | None = None
    span_count: int = 0
    is_error: bool = False
    process: str = ""
    begun_at: datetime | None = None
    actor: str = ""
    actions: list[str] = field(default_factory=list)

    @property
    def is_kept(self) -> bool:
        """Whether its spans are still in the store."""
        return self.span_count > 0

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {**asdict(self), "begun_at": self.begun_at.isoformat() if self.begun_at else None}


@dataclass(frozen=True, slots=True)
class Target:
    """Where something that was asked for is: `kind` is `request`, `user`, `object`, or empty for nowhere."""

    kind: str = ""
    id: str = ""
    type: str = ""  # the object's
    anchor: str = ""  # the place on the request's page


def find(wanted: str) -> Target:
    """Return where `wanted` leads: the id of a request, trace or task, `user:7`, a username, or `blog.post/42`.

    Raises:
        redis.RedisError: the store doesn't answer, and nothing else knows.
    """
    if match := _OBJECT.fullmatch(wanted):
        return Target("object", match["id"], match["type"].lower())
    if wanted.startswith("user:") and (user_id := _user_id(wanted[5:])):
        return Target("user", user_id)
    if is_request_id(wanted):
        with suppress(redis.RedisError):
            if recent_spans().roots_of([wanted]):
                return Target("request", wanted)
        if _TRACE.fullmatch(wanted) and (request_id := request_of_trace(wanted.lower())):
            return Target("request", request_id)
        if request_id := request_of_task(wanted):
            return Target("request", request_id, anchor=f"task-{wanted}")
    if user_id := _user_id(wanted):
        return Target("user", user_id)
    return Target("request", wanted) if is_request_id(wanted) else Target()


def request_of_trace(trace_id: str) -> str:
    """Return the request of a trace: as the store knows, or else the ledger; empty where nothing does."""
    with suppress(redis.RedisError):
        if known := recent_spans().request_of_trace(trace_id):
            return known
    search = filters.parse({"trace": trace_id}, _ACCESS)
    return next((event.request_id for event in _events(search, 20) if event.request_id), "")


def request_of_task(task_id: str) -> str:
    """Return the request that a task ran for: as the store knows, or else the task's row; empty where nothing does."""
    with suppress(redis.RedisError):
        if known := recent_spans().request_of_task(task_id):
            return known
    with suppress(ValueError):
        found = TaskRun.objects.filter(pk=uuid.UUID(task_id)).values_list("request_id", flat=True).first()
        return found or ""
    return ""


def latest(limit: int = _ROWS) -> list[Row]:
    """Return the latest requests.

    Raises:
        redis.RedisError: the store doesn't answer.
    """
    return [_row(span) for span in recent_spans().latest(limit)]


def requests_of_user(user_id: str) -> tuple[list[Row], int]:
    """Return the latest requests of a user, and how many ledger events were read for it.

    Raises:
        FilterError, SearchTooLongError: see `audit.reading`.
    """
    events = _events(filters.parse({"actor": user_id}, _ACCESS), _LEDGER_EVENTS)
    spans: list[dict[str, Any]] = []
    with suppress(redis.RedisError):
        spans = recent_spans().requests_of_user(user_id, _ROWS)
    return _joined(events, [_row(span) for span in spans]), len(events)


def requests_of_object(object_type: str, object_id: str) -> tuple[list[Row], int]:
    """Return the latest requests that changed an object, and how many ledger events were read for it.

    Raises:
        FilterError, SearchTooLongError: see `audit.reading`.
    """
    events = _events(filters.parse({"object_type": object_type, "object_id": object_id}, _ACCESS), _LEDGER_EVENTS)
    return _joined(events, []), len(events)


def name_of_user(user_id: str) -> str:
    """Return a user's name; the id where there's none."""
    if not (user_id.isascii() and user_id.isdigit() and len(user_id) < 19):
        return user_id
    return User.objects.filter(pk=user_id).values_list("username", flat=True).first() or user_id


def _user_id(text: str) -> str:
    if text.isascii() and text.isdigit() and len(text) < 19:
        found = User.objects.filter(pk=text)
    else:
        found = User.objects.filter(username=text[:150])
    user_id = found.values_list("pk", flat=True).first()
    return str(user_id) if user_id is not None else ""


def _events(search: filters.Search, limit: int) -> list[Event]:
    return queries.page(search, Cursor(), limit=limit).events


def _joined(events: Sequence[Event], rows: list[Row]) -> list[Row]:
    """The requests of these events and those of `rows`, each once, the latest first, with what the store knows."""
    by_id = {row.request_id: row for row in rows}
    for event in events:
        if not event.request_id:
            continue
        row = by_id.setdefault(event.request_id, Row(event.request_id, name=event.operation or ""))
        if event.action not in row.actions:
            row.actions.append(event.action)
        row.actor = row.actor or event.actor_label or ""
        row.begun_at = row.begun_at or event.recorded_at
    unknown = [row.request_id for row in by_id.values() if not row.is_kept][:_ROWS]
    with suppress(redis.RedisError):
        for span in recent_spans().roots_of(unknown):
            known, ledger = _row(span), by_id[span["request_id"]]
            known.actions, known.actor = ledger.actions, ledger.actor
            by_id[known.request_id] = known
    epoch = datetime.fromtimestamp(0, UTC)
    return sorted(by_id.values(), key=lambda row: row.begun_at or epoch, reverse=True)[:_ROWS]


def _row(span: dict[str, Any]) -> Row:
    attributes = span["attributes"]
    begin, end = span["start_ns"], span["end_ns"] or span["start_ns"]
    return Row(
        request_id=span["request_id"],
        name=span["name"],
        path=str(attributes.get("url.path", "")),
        status=attributes.get("http.response.status_code"),
        duration_ms=(end - begin) / 1e6,
        statements=attributes.get("db.statements"),
        span_count=span["span_count"],
        is_error=span["status"] == "error",
        process=span["process"],
        begun_at=datetime.fromtimestamp(begin / 1e9, UTC),
    )
