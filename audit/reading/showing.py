"""Events as their reader may see them: what is hidden says that it is, and why."""

from typing import Any

from audit.models import Event
from audit.reading.access import Access
from audit.registry import personal_fields

PERSONAL = {"hidden": "personal"}
MASKED = {"hidden": "masked"}
# What the context holds of a person; the rest tells of the work.
_PERSONAL_CONTEXT = ("address", "agent", "session")


def differences(event: Event, access: Access) -> dict[str, list[Any]]:
    """Return the event's changes as `[before, after]` by field, without what `access` doesn't show."""
    object_type = event.object_type or ""
    return {
        field: [shown(object_type, field, value, access) for value in pair] for field, pair in event.differences.items()
    }


def shown(object_type: str, field: str, value: Any, access: Access) -> Any:
    """Return the value of an object's field as its reader may see it; None stays None."""
    if value is None:
        return None
    if not access.sees_personal and field in personal_fields().get(object_type, ()):
        return PERSONAL
    if not access.sees_masked and isinstance(value, dict) and value.keys() == {"masked"}:
        return MASKED
    return value


def context(event: Event, access: Access) -> dict[str, Any]:
    """Return the event's context as its reader may see it."""
    found = dict(event.context or {})
    if not access.sees_personal:
        found |= {key: PERSONAL for key in _PERSONAL_CONTEXT if key in found}
    return found


def as_dict(event: Event, access: Access) -> dict[str, Any]:
    """Return an event in the form of the API; its members are those of the ledger's columns."""
    return {
        "id": event.pk,
        "recorded_at": event.recorded_at,
        "transaction": int(event.txid),  # xid8 comes as text
        "action": event.action,
        "outcome": event.outcome,
        "object_type": event.object_type or "",
        "object_id": event.object_id or "",
        "changes": differences(event, access),
        "actor_type": event.actor_type or "",
        "actor_id": event.actor_id or "",
        "actor_label": event.actor_label or "",
        "request_id": event.request_id or "",
        "trace_id": event.trace_id or "",
        "span_id": event.span_id or "",
        "task_id": event.task_id or "",
        "origin": event.origin or "",
        "operation": event.operation or "",
        "context": context(event, access),
        "schema_version": event.schema_version,
    }
