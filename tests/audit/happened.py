"""An event of each kind, and what a format makes of one."""

import json
from datetime import UTC, datetime
from typing import Any

from audit.exports.formats.known import format_named
from audit.models import Event
from audit.reading.access import EVERYTHING, Access

PLAIN = Access(object_types=None)
AT = datetime(2026, 3, 1, 14, 30, 0, 123_456, tzinfo=UTC)
TRACE, SPAN, REQUEST = "30e0d5bf376d27c47afce5d1f8ca0097", "00f067aa0ba902b7", "01a20a147022726bbca69b411c9f6b6f"


def event(action: str = "blog.post.updated", **members: Any) -> Event:
    """An event as the database gives it: nothing where there's nothing."""
    usual = {
        "id": 4_200_000_000,
        "recorded_at": AT,
        "txid": 943,
        "outcome": "success",
        "object_type": "blog.post",
        "object_id": "42",
        "changes": {"status": ["draft", "published"]},
        "actor_type": "user",
        "actor_id": "7",
        "actor_label": "una",
        "request_id": REQUEST,
        "trace_id": TRACE,
        "span_id": SPAN,
        "task_id": None,
        "origin": "http",
        "operation": "POST /blog/",
        "context": {"address": "192.0.2.7", "agent": "curl/8", "reason": "a typo", "release": "1.2"},
    }
    return Event(action=action, **{**usual, **members})


# Every action that the platform emits, and what else a ledger may hold: (action, object type, id, outcome, changes).
HAPPENED: list[tuple[str, str | None, str | None, str, Any]] = [
    *(
        (f"{label}.{verb}", label, "42", "success", changes)
        for label in ("blog.post", "chat.room", "tasks.taskrun", "accounts.apitoken", "auth.group", "accounts.user")
        for verb, changes in (
            ("created", {"name": "x", "number": 1}),
            ("updated", {"name": ["x", None]}),
            ("deleted", {"name": "x"}),
        )
    ),
    ("accounts.user.updated", "accounts.user", "7", "success", {"groups": {"added": ["3"]}}),
    ("accounts.user.updated", "accounts.user", "7", "success", {"user_permissions": {"removed": ["3", "4"]}}),
    ("accounts.user.updated", "accounts.user", "7", "success", {"is_active": [True, False]}),
    ("accounts.user.updated", "accounts.user", "7", "success", {"password": [{"masked": "a"}, {"masked": "b"}]}),
    ("auth.group.updated", "auth.group", "3", "success", {"permissions": {"added": ["9"]}}),
    ("blog.post.deleted", "blog.post", None, "success", {}),
    ("accounts.user.logged_in", "accounts.user", "7", "success", {"factor": "password"}),
    ("accounts.user.logged_out", "accounts.user", "7", "success", None),
    ("accounts.user.login_failed", None, None, "denied", {"username_digest": "ab12"}),
    ("accounts.login.throttled", None, None, "denied", None),
    ("accounts.token.refused", "accounts.apitoken", "1", "denied", {"why": "revoked"}),
    ("accounts.scope.denied", "accounts.apitoken", "1", "denied", {"scope": "blog:write"}),
    ("blog.access.denied", "blog.post", "42", "denied", None),
    ("sockets.origin.refused", None, None, "denied", {"origin": "https://evil.example"}),
    ("tasks.taskrun.viewed", "tasks.taskrun", "1", "denied", None),
    ("notifications.notification.read", "notifications.notification", "1", "denied", None),
    ("maintenance.mode.failed", None, None, "error", None),
    *((f"audit.ledger.{verb}", None, None, "success", {"filters": {}}) for verb in ("read", "exported", "throttled")),
    ("audit.ledger.read", "audit.event", "12", "success", None),
    ("audit.ledger.export_requested", "audit.export", "1", "success", {"format": "csv"}),
    ("audit.ledger.export_denied", None, None, "denied", None),
]
BARE: dict[str, Any] = dict.fromkeys(
    ("actor_type", "actor_id", "actor_label", "request_id", "trace_id", "span_id", "origin", "operation", "context")
)


def everything() -> list[Event]:
    told = [
        event(action, object_type=type_, object_id=key, outcome=outcome, changes=changes)
        for action, type_, key, outcome, changes in HAPPENED
    ]
    bare = [
        event(action, object_type=type_, object_id=key, outcome=outcome, changes=changes, **BARE)
        for action, type_, key, outcome, changes in HAPPENED
    ]
    return told + bare


def parsed(name: str, one: Event, access: Access = EVERYTHING) -> dict[str, Any]:
    line = format_named(name).line(one, access)
    assert line.endswith(b"\n")
    result: dict[str, Any] = json.loads(line)
    return result
