"""OCSF 1.8.0 (Open Cybersecurity Schema Framework), an event a line.

Logins are Authentication (3002); changes of users Account Change (3001), or User Access Management (3005) where a group
or permission comes or goes; those of groups Group Management (3006); what happens to any other object Entity
Management (3004); reads and exports of the ledger Datastore Activity (6005); what has no object API Activity (6003).
The event's own members that OCSF has no attribute for, the changes first of all, are in `unmapped`.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from audit.exports.formats.facts import Facts, facts_of
from audit.exports.formats.lines import json_line
from audit.models import Event
from audit.reading.access import Access
from telemetry import conf as telemetry_conf

VERSION = "1.8.0"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OTHER = 99
_SEVERITIES = {"success": 1, "denied": 2, "error": 3}  # informational, low, medium
_USER_TYPES = {"user": 1, "token": 4, "database": 4, "system": 3}
_CREATE, _READ, _UPDATE, _DELETE = 1, 2, 3, 4
_ENTITY_ACTIVITIES = {"created": _CREATE, "viewed": _READ, "read": _READ, "updated": _UPDATE, "deleted": _DELETE}
_LEDGER_READS = ("read", "read_denied", "exported", "export_started", "export_downloaded", "export_denied")
_MEMBERSHIPS = ("groups", "user_permissions")
_UNMAPPED = (
    *("changes", "outcome", "object_type", "object_id", "transaction", "request_id", "trace_id", "span_id", "task_id"),
    *("actor_type", "origin", "operation", "context"),
)


def line(event: Event, access: Access) -> bytes:
    """Return an event as its line."""
    facts = facts_of(event, access)
    class_uid, activity_id, members = _classified(facts)
    return json_line({**_base(facts, class_uid, activity_id), **members})


def _base(facts: Facts, class_uid: int, activity_id: int) -> dict[str, Any]:
    """What each class has; `src_endpoint` and `http_request` have the same place in all of those used here."""
    shown = facts.shown
    is_success = shown["outcome"] == "success"
    http_request = {"uid": shown["request_id"], "user_agent": facts.agent}
    return {
        "class_uid": class_uid,
        "category_uid": class_uid // 1_000,
        "activity_id": activity_id,
        "type_uid": class_uid * 100 + activity_id,
        **({"activity_name": facts.verb} if activity_id == _OTHER else {}),
        "time": (shown["recorded_at"] - _EPOCH) // timedelta(milliseconds=1),
        "timezone_offset": 0,
        "severity_id": _SEVERITIES[shown["outcome"]],
        "status_id": 1 if is_success else 2,
        "status": "Success" if is_success else "Failure",
        "status_code": shown["outcome"],
        "message": facts.summary,
        "metadata": {
            "version": VERSION,
            "product": {"name": telemetry_conf.service_name(), **({"version": facts.release} if facts.release else {})},
            "uid": str(shown["id"]),
            "original_event_uid": str(shown["id"]),
            "event_code": shown["action"],
            "original_time": shown["recorded_at"].isoformat(),
            "log_name": "audit_event",
            **({"correlation_uid": shown["request_id"]} if shown["request_id"] else {}),
        },
        "actor": {"user": _actor(facts)},
        "src_endpoint": {"ip": facts.address} if facts.address else {"name": shown["origin"] or "unknown"},
        **({"http_request": _filled(http_request)} if any(http_request.values()) else {}),
        "unmapped": _filled({name: shown[name] for name in _UNMAPPED}),
    }


def _classified(facts: Facts) -> tuple[int, int, dict[str, Any]]:
    """The event's class, its activity there, and the members of that class."""
    match facts.subject:
        case "authentication":
            activity = 2 if facts.verb == "logged_out" else 1
            return 3002, activity, {"user": _who_logs_in(facts), "service": {"name": telemetry_conf.service_name()}}
        case "user":
            return _of_user(facts)
        case "group":
            return 3006, _group_activity(facts), {"group": _object(facts)}
        case "ledger":
            activity = _OTHER if facts.verb not in _LEDGER_READS else 1 if facts.shown["object_id"] else 4
            return 6005, activity, {"table": {"name": "audit_event"}, "type_id": 3}
        case "object":
            entity = {**_object(facts), "type": facts.shown["object_type"], "type_id": _OTHER}
            comment = {"comment": facts.reason} if facts.reason else {}
            return 3004, _ENTITY_ACTIVITIES.get(facts.verb, _OTHER), {"entity": entity, **comment}
    operation = facts.shown["operation"] or facts.shown["action"]
    return 6003, _OTHER, {"api": {"operation": operation}}


def _of_user(facts: Facts) -> tuple[int, int, dict[str, Any]]:
    members: dict[str, Any] = {"user": _object(facts)}
    changes = facts.shown["changes"]
    if facts.verb == "updated":
        for field in _MEMBERSHIPS:
            removed, added = changes.get(field, (None, None))
            if keys := added or removed:
                members["privileges"] = [f"{field}:{key}" for key in keys]
                return 3005, 1 if added else 2, members
        if "is_active" in changes:
            return 3001, 2 if changes["is_active"][1] is True else 5, members
        return 3001, 3 if "password" in changes else _OTHER, members
    return 3001, {"created": 1, "deleted": 6}.get(facts.verb, _OTHER), members


def _group_activity(facts: Facts) -> int:
    if facts.verb == "updated" and "permissions" in facts.shown["changes"]:
        return 1 if facts.shown["changes"]["permissions"][1] else 2
    return {"created": 6, "deleted": 5}.get(facts.verb, _OTHER)


def _object(facts: Facts) -> dict[str, str]:
    """The object by its id, or by its type where the event is of all such, as a TRUNCATE's."""
    uid = facts.shown["object_id"]
    return {"uid": uid} if uid else {"name": facts.shown["object_type"]}


def _actor(facts: Facts) -> dict[str, Any]:
    shown = facts.shown
    name = shown["actor_label"] or shown["actor_type"] or "unknown"
    return _filled({"uid": shown["actor_id"], "name": name}) | {"type_id": _USER_TYPES.get(shown["actor_type"], 0)}


def _who_logs_in(facts: Facts) -> dict[str, Any]:
    if facts.verb in ("logged_in", "logged_out"):
        return {**_object(facts), "type_id": 1}
    # Who failed is known by the digest of the name alone that was typed.
    digest = facts.shown["changes"].get("username_digest", [None, None])[1]
    return {"name": "unknown", "type_id": 0, **({"uid_alt": digest} if digest else {})}


def _filled(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in ("", {}, None)}
