"""A story as JSON-able data: what `?format=json` and `manage trace --format json` give."""

from dataclasses import asdict
from typing import Any

from audit.models import Event
from audit.reading import showing
from audit.reading.access import Access
from ops.pushes import Push
from ops.statements import Kind
from ops.steps import Step
from ops.story import Story


def as_json(story: Story, access: Access) -> dict[str, Any]:
    """Return the story as JSON-able data, with what `access` shows of its events. Times in milliseconds."""
    return {
        "request_id": story.request_id,
        "summary": story.summary,
        "total_ms": round(story.total_ms, 3),
        "findings": [asdict(finding) for finding in story.findings],
        "steps": [_step(step, access) for step in story.steps],
        "statements": [_statement(kind) for kind in story.statements],
        "tasks": [_rounded({**asdict(task), "retries": len(task.retries)}) for task in story.tasks],
        "pushes": [_push(push, story.names) for push in story.pushes],
        "events": [_event(row, access) for row in story.events],
        "lines": [
            _rounded(
                {
                    "at": line.at.isoformat() if line.at else None,
                    "at_ms": line.at_ms,
                    "level": line.level,
                    "event": line.event,
                    "logger": line.logger,
                    "process": line.process,
                    "span_id": line.span_id,
                    "fields": line.fields,
                    "exception": line.exception,
                }
            )
            for line in story.lines
        ],
        "linked_requests": story.linked,
        "missing": story.missing,
    }


def _step(step: Step, access: Access) -> dict[str, Any]:
    return _rounded(
        {
            "key": step.key,
            "name": step.name,
            "lane": step.lane,
            "process": step.process,
            "depth": step.depth,
            "begin_ms": step.begin_ms,
            "duration_ms": step.duration_ms,
            "count": step.count,
            "is_error": step.is_error,
            "is_repeated": step.is_repeated,
            "about": step.about,
            "detail": step.detail,
            "attributes": step.attributes,
            "notes": step.notes,
            "events": [_event(row, access) for row in step.events],
        }
    )


def _statement(kind: Kind) -> dict[str, Any]:
    return _rounded(
        {
            "fingerprint": kind.fingerprint,
            "summary": kind.summary,
            "text": kind.text,
            "count": kind.count,
            "repeats": kind.repeats,
            "is_repeated": kind.is_repeated,
            "total_ms": kind.total_ms,
            "slowest_ms": kind.slowest_ms,
            "rows": kind.rows,
            "errors": kind.errors,
            "sites": [{"site": site, "count": count} for site, count in kind.sites],
        }
    )


def _push(push: Push, names: dict[str, str]) -> dict[str, Any]:
    return _rounded(
        {
            "key": push.key,
            "type": push.type,
            "group": push.group,
            "sender": push.sender,
            "begin_ms": push.begin_ms,
            "sockets": push.sockets,
            "recipients": push.recipients,
            "delivered": push.delivered,
            "failed": push.failed,
            "dropped": push.dropped,
            "gone": push.gone,
            "is_missing": push.is_missing,
            "latency_ms": push.figures,
            "slowest_handlers": push.slowest,
            "deliveries_ms": [round(one, 3) for one in push.latencies],
            "users": [{"id": one, "name": names.get(one, "")} for one in push.user_ids],
        }
    )


def _event(row: Event, access: Access) -> dict[str, Any]:
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


def _rounded(members: dict[str, Any]) -> dict[str, Any]:
    """The same with times to the microsecond."""

    def shown(value: Any) -> Any:
        if isinstance(value, float):
            return round(value, 3)
        if isinstance(value, dict):
            return {key: shown(item) for key, item in value.items()}
        if isinstance(value, list):
            return [shown(item) for item in value]
        return value

    return {key: value if key == "events" else shown(value) for key, value in members.items()}
