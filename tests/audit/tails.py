"""A client of the tail's socket, and what tests ask of both."""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.test import Client

from audit.models import Event
from config.asgi import application
from tests.audit.everything.models import Tag
from tests.notifications.client import SocketClient

TAGS = {"action": "everything.tag.created"}


class TailClient(SocketClient):
    """Speaks with a tail as a browser does: by the platform's whole stack, with a session's cookie."""

    def __init__(self, browser: Client, query: str) -> None:
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())
        headers = {"origin": "http://testserver", "host": "testserver", "cookie": cookies}
        scope = {
            "type": "websocket",
            "path": "/ws/audit/",
            "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
            "query_string": query.encode(),
            "subprotocols": [],
            "client": ("127.0.0.1", 50_000),
        }
        self._communicator = ApplicationCommunicator(application, scope)
        self._is_open = False

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
