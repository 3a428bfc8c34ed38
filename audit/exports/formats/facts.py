"""What an event is about, as far as OCSF and ECS both ask."""

import ipaddress
from dataclasses import dataclass
from typing import Any, Literal

from django.contrib.auth import get_user_model

from audit import conf
from audit.models import Event
from audit.reading import showing
from audit.reading.access import Access

Subject = Literal["authentication", "user", "group", "ledger", "object", "nothing"]

_AUTHENTICATION = ("logged_in", "logged_out", "login_failed", "login.throttled", "token.refused")


@dataclass(frozen=True, slots=True)
class Facts:
    """An event as its reader sees it (`shown` is the API's form), and what follows from that."""

    event: Event
    shown: dict[str, Any]
    subject: Subject
    verb: str  # the last part of the action
    address: str  # only where it is one
    agent: str
    reason: str
    release: str

    @property
    def is_row_change(self) -> bool:
        """Whether it tells of a row that was created, changed or deleted."""
        return self.verb in ("created", "updated", "deleted")

    @property
    def summary(self) -> str:
        """The event in a few words."""
        of = f"{self.shown['object_type']} {self.shown['object_id']}".strip()
        return " ".join(part for part in (self.shown["action"], of and f"({of})", self.shown["outcome"]) if part)


def facts_of(event: Event, access: Access) -> Facts:
    """Return what is to be known of an event by somebody with `access`."""
    shown = showing.as_dict(event, access)
    context = {key: value for key, value in shown["context"].items() if isinstance(value, str)}  # hidden ones aren't
    return Facts(
        event=event,
        shown=shown,
        subject=_subject(event),
        verb=event.action.rpartition(".")[2],
        address=_address(context.get("address", "")),
        agent=context.get("agent", ""),
        reason=context.get("reason", ""),
        release=context.get("release", "") or conf.release(),
    )


def _subject(event: Event) -> Subject:
    if event.action.endswith(_AUTHENTICATION):
        return "authentication"
    if event.action.startswith("audit.ledger."):
        return "ledger"
    if event.object_type == get_user_model()._meta.label_lower:
        return "user"
    if event.object_type == "auth.group":
        return "group"
    return "object" if event.object_type else "nothing"


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
