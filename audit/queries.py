"""Reads of the ledger."""

from datetime import datetime

from django.db.models import QuerySet

from audit.models import Event


def events(
    *,
    object_type: str = "",
    object_id: str = "",
    actor: str = "",
    action: str = "",
    outcome: str = "",
    request: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[Event]:
    """Return the events that match every given filter, newest first; times are `since` <= recorded < `until`."""
    exact = {
        "object_type": object_type.lower(),
        "object_id": object_id,
        "actor_id": actor,
        "action": action,
        "outcome": outcome,
        "request_id": request,
    }
    found = Event.objects.filter(**{name: value for name, value in exact.items() if value})
    if since:
        found = found.filter(recorded_at__gte=since)
    if until:
        found = found.filter(recorded_at__lt=until)
    return found.order_by("-id")


def events_of_request(request_id: str, *, limit: int = 500) -> QuerySet[Event]:
    """Return what a request caused, in the order in which it was recorded."""
    return Event.objects.filter(request_id=request_id).order_by("id")[:limit]
