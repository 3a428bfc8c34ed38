"""A client of the tail's socket, and what tests ask of both."""

from collections.abc import Awaitable, Callable
from typing import Any

from channels.db import database_sync_to_async

from audit.models import Event
from tests.audit.everything.models import Tag
from tests.notifications.client import BrowserClient

TAGS = {"action": "everything.tag.created"}


class TailClient(BrowserClient):
    """Speaks with a tail as a browser does."""

    path = "/ws/audit/"

    async def closed(self) -> tuple[int, str]:
        """Return the code and reason with which the socket is closed next."""
        event = await self.receive_event()
        assert event["type"] == "websocket.close", event
        return event["code"], event["reason"]

    def cut_off(self) -> None:
        """End the application's coroutine, as a server does that stops."""
        self._communicator.stop()
        self._is_open = False


Open = Callable[..., Awaitable[TailClient]]


@database_sync_to_async
def add_tags(*names: str) -> None:
    for name in names:
        Tag.objects.create(name=name)


@database_sync_to_async
def recorded(action: str) -> list[tuple[str, Any]]:
    events = Event.objects.filter(action=action).order_by("id")
    return [(event.actor_label, event.changes) for event in events]


def names(frame: dict[str, Any]) -> list[str]:
    assert frame["type"] == "events", frame
    return [event["changes"]["name"][1] for event in frame["events"]]
