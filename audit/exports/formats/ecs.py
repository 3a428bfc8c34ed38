"""Elastic Common Schema 9.4.0, an event a line.

What ECS has no field for is below `Audit`: a capital letter, since no field of ECS has any. Its `Changes` is a list of
`{"Field", "From", "To"}` with values as JSON text, and `Context` is JSON text: fields of every model's own would make
a mapping without end.
"""

from typing import Any

from audit import values
from audit.exports.formats.facts import Facts, facts_of
from audit.exports.formats.lines import json_line
from audit.models import Event
from audit.reading.access import Access
from telemetry import conf as telemetry_conf

VERSION = "9.4.0"
_CHANGES = {"created": "creation", "updated": "change", "deleted": "deletion"}
_READS = ("read", "viewed", "exported", "export_started", "export_downloaded", "read_denied", "export_denied")


def line(event: Event, access: Access) -> bytes:
    """Return an event as its line."""
    return json_line(_filled(_members(facts_of(event, access))))


def _members(facts: Facts) -> dict[str, Any]:
    shown = facts.shown
    category, kinds = _classified(facts)
    is_about_user = facts.subject == "user"
    return {
        "@timestamp": shown["recorded_at"],
        "ecs": {"version": VERSION},
        "message": facts.summary,
        "event": {
            "id": str(shown["id"]),
            "kind": "event",
            "category": [category],
            "type": kinds,
            "action": shown["action"],
            "outcome": "success" if shown["outcome"] == "success" else "failure",
            "created": shown["recorded_at"],
            "reason": facts.reason,
            "module": "audit",
            "dataset": "audit.ledger",
        },
        "user": {
            "id": shown["actor_id"],
            "name": shown["actor_label"],
            "target": {"id": shown["object_id"]} if is_about_user else {},
        },
        "group": {"id": shown["object_id"]} if facts.subject == "group" else {},
        "source": {"ip": facts.address, "address": facts.address},
        "user_agent": {"original": facts.agent},
        "trace": {"id": shown["trace_id"]},
        "span": {"id": shown["span_id"]},
        "http": {"request": {"id": shown["request_id"]}},
        "service": {"name": telemetry_conf.service_name(), "version": facts.release},
        "Audit": {
            "Outcome": shown["outcome"],
            "ObjectType": shown["object_type"],
            "ObjectId": shown["object_id"],
            "Changes": [
                {"Field": field, "From": _text(before), "To": _text(after)}
                for field, (before, after) in shown["changes"].items()
            ],
            "ActorType": shown["actor_type"],
            "TaskId": shown["task_id"],
            "Transaction": str(shown["transaction"]),
            "Origin": shown["origin"],
            "Operation": shown["operation"],
            "Context": _text(shown["context"]),
        },
    }


def _classified(facts: Facts) -> tuple[str, list[str]]:
    """The event's category, and its types among those that ECS expects there."""
    match facts.subject:
        case "authentication":
            return "authentication", ["end" if facts.verb == "logged_out" else "start"]
        case "user" | "group" if facts.is_row_change:
            return "iam", [facts.subject, _CHANGES[facts.verb]]
        case "ledger":
            return "database", ["access" if facts.verb in _READS else "info"]
    if facts.is_row_change:
        return "database", ["change"]
    if facts.shown["outcome"] == "denied":
        return "api", ["denied"]
    return "api", ["access" if facts.verb in _READS else "info"]


def _text(value: Any) -> str:
    return values.dumps(value).decode()


def _filled(members: dict[str, Any]) -> dict[str, Any]:
    """The members that say something; an empty text would be a value to search for."""
    found = {name: _filled(value) if isinstance(value, dict) else value for name, value in members.items()}
    return {name: value for name, value in found.items() if value not in ("", {}, [])}
