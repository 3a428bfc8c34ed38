"""Which pages may open a socket."""

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from audit.models import Event
from config.origins import OriginMiddleware, is_allowed


@pytest.fixture(autouse=True)
def _hosts(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["glass.example", "localhost", "[::1]"]
    settings.SOCKET_ALLOWED_ORIGINS = ["http://localhost:8000"]


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8000", "localhost:8001"),  # development: named in the settings
        ("https://glass.example", "glass.example"),
        ("https://glass.example:443", "glass.example"),
        ("https://GLASS.example", "glass.example"),
        ("http://glass.example:8080", "glass.example:8080"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_pages_of_this_host_and_named_ones_are_let_in(origin: str, host: str) -> None:
    assert is_allowed(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("", "glass.example"),
        ("null", "glass.example"),
        ("https://evil.example", "glass.example"),
        ("https://glass.example.evil.example", "glass.example"),
        ("https://evil.example", "evil.example"),  # a name that leads here, but isn't ours
        ("https://glass.example:8443", "glass.example"),
        ("http://localhost:8001", "localhost:8000"),
        ("https://localhost:8000", "localhost:8001"),
        ("https://user@glass.example", "glass.example"),
        ("https://glass.example/path", "glass.example"),
        ("file://glass.example", "glass.example"),
        ("https://glass.example:port", "glass.example"),
        ("https://[glass.example", "glass.example"),
        ("https://glass.example", ""),
        ("https://glass.example", "glass.example, evil.example"),
    ],
)
def test_others_are_not(origin: str, host: str) -> None:
    assert not is_allowed(origin, host)


async def accept(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    await receive()
    await send({"type": "websocket.accept"})


async def handshake(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    """Return the answer to a handshake. Channels' own communicator can't be imported without Daphne."""
    scope = {"type": "websocket", "path": "/ws/notifications/", "headers": list(headers)}
    communicator = ApplicationCommunicator(OriginMiddleware(accept), scope)
    await communicator.send_input({"type": "websocket.connect"})
    answer: dict[str, Any] = await communicator.receive_output(timeout=60)
    return answer


async def test_a_page_of_this_host_reaches_the_consumer() -> None:
    answer = await handshake((b"host", b"glass.example"), (b"origin", b"https://glass.example"))
    assert answer == {"type": "websocket.accept"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "origins",
    [
        [],
        [b"https://evil.example"],
        [b"https://glass.example", b"https://evil.example"],
        [b"https://evil.example/" + b"x" * 64_000],
        [b"\xff\x1b[31m\r\n"],
    ],
)
async def test_a_foreign_page_is_refused_before_the_handshake_and_in_the_ledger(origins: list[bytes]) -> None:
    answer = await handshake((b"host", b"glass.example"), *((b"origin", origin) for origin in origins))
    assert answer == {"type": "websocket.close", "code": 4403}
    event = await Event.objects.filter(action="sockets.origin.refused").alatest("id")
    assert event.outcome == "denied"
    assert len(event.changes["origin"]) <= 200
