"""Who switched maintenance, when and why, out of the ledger."""

from dataclasses import dataclass
from datetime import datetime

from audit.history import states
from audit.models import Event

_TYPE = "ops.maintenance"
_ONLY_ROW = "1"


@dataclass(frozen=True, slots=True)
class Switch:
    """One change of the row; `what` says it as people do."""

    what: str
    when: datetime
    who: str
    reason: str
    request_id: str


def last_switches(limit: int = 5) -> list[Switch]:
    """Return the latest, newest first."""
    return [_switch(event) for event in states.versions(_TYPE, _ONLY_ROW, limit=limit).events]


def _switch(event: Event) -> Switch:
    changed = event.differences
    if changed.get("is_on", [None, None])[1] is False:
        what = "Switched off"
    else:  # one that ended by itself is begun anew, and was on all the time as the row has it
        what = "Switched on" if "begun_at" in changed else "Changed"
    reason = str((event.context or {}).get("reason", ""))
    return Switch(what, event.recorded_at, event.actor_label or "a command", reason, event.request_id or "")
