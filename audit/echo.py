"""The database's answer to a statement that changed tracked rows: what the ledger now holds."""

from dataclasses import dataclass, field
from typing import Any

from audit import values
from audit.signals import model_changed


@dataclass(frozen=True, slots=True)
class Change:
    """One statement's changes of one kind of object, or one recorded event.

    With `count` 1, `object_id` and `changes` are that event's. With more, they are empty and `first` holds the first
    events as `{"id", "action", "object_id", "changes"}`. `changes` has the ledger's form (see `audit.models.Event`).
    """

    action: str
    object_type: str
    object_id: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    count: int = 1
    event_ids: tuple[int, ...] = ()
    first: tuple[dict[str, Any], ...] = ()
    outcome: str = "success"
    using: str = "default"


def parse(text: str, *, using: str) -> Change:
    """Return the change that a capture function put into its notice."""
    echo = values.loads(text)
    events = echo["events"]
    only = events[0] if echo["count"] == 1 else {}
    return Change(
        action=events[0]["action"],
        object_type=echo["object_type"],
        object_id=only.get("object_id") or "",
        changes=only.get("changes") or {},
        count=echo["count"],
        event_ids=tuple(event["id"] for event in events),
        first=tuple(events) if echo["count"] > 1 else (),
        using=using,
    )


def send(notice: str, *, using: str) -> None:
    """Tell every receiver what a notice says; read here, after commit, so that nothing in it can fail the write."""
    tell(parse(notice, using=using))


def tell(change: Change) -> None:
    """Tell every receiver of `model_changed`; one that raises is logged and stops none of the others."""
    model_changed.send_robust(sender=None, change=change)
