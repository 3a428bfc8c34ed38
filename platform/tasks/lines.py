"""What a task has told on its way: its recent log lines, which telemetry keeps by the request that asked for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis

from tasks.models import TaskRun
from telemetry.tracing.lines import recent_lines

_MOST = 100
_LONGEST_FIELDS = 300
# What the page says elsewhere.
_LEFT_OUT = frozenset(
    (
        *("timestamp", "level", "event", "logger", "process", "request_id", "trace_id", "span_id", "task_id"),
        *("task_name", "run_id", "user_id", "exception"),
    )
)
_BAD = frozenset({"error", "critical", "exception", "fatal"})


@dataclass(frozen=True, slots=True)
class Line:
    """One log line, redacted when it was written."""

    at: datetime | None
    level: str
    event: str
    fields: str
    process: str

    @property
    def tone(self) -> str:
        """How its level looks: `bad`, `warn` or nothing."""
        return "bad" if self.level in _BAD else "warn" if self.level == "warning" else ""


def lines_of(run: TaskRun) -> list[Line] | None:
    """Return the last lines that were kept of a run, oldest first; None where the store doesn't answer."""
    if not run.request_id:
        return []
    try:
        kept = recent_lines().lines_of(run.request_id)
    except (redis.RedisError, ValueError):
        return None
    task_id = str(run.pk)
    return [_read(line) for line in kept if task_id in (line.get("task_id"), line.get("run_id"))][-_MOST:]


def _read(line: Mapping[str, Any]) -> Line:
    told = ", ".join(
        f"{key}={value}" for key, value in line.items() if key not in _LEFT_OUT and value not in (None, "")
    )
    return Line(
        at=_moment(line.get("timestamp")),
        level=str(line.get("level", "")),
        event=str(line.get("event", "")),
        fields=told if len(told) <= _LONGEST_FIELDS else f"{told[:_LONGEST_FIELDS]}…",
        process=str(line.get("process", "")),
    )


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
