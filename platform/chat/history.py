"""What a message said before, out of the ledger: there's no other history of it."""

from typing import Any

from audit.models import Event
from chat.models import Message

_MOST_VERSIONS = 100


def versions_of(message: Message) -> list[dict[str, Any]]:
    """Return how a message's words changed, newest first."""
    events = Event.objects.filter(object_type="chat.message", object_id=str(message.pk), outcome="success")
    versions = []
    for event in events.order_by("-id")[: 3 * _MOST_VERSIONS]:
        change = event.differences.get("body")
        if change is None:
            continue
        before, after = change
        versions.append(
            {
                "at": event.recorded_at.isoformat(),
                "actor": event.actor_label or "",
                "action": event.action,
                "before": before,
                "after": after,
                "request_id": event.request_id or "",
            }
        )
    return versions[:_MOST_VERSIONS]
