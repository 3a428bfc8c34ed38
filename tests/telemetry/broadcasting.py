"""What tests of sockets ask: figures, spans by name, a message sent by a request."""

from collections.abc import Awaitable, Callable
from typing import Any

from telemetry.channels import layers
from telemetry.context import Actor, Context
from telemetry.metrics import exposed_registry
from telemetry.tracing.work import Work
from tests.telemetry.sockets import GROUP, NewsSocket

Open = Callable[..., Awaitable[NewsSocket]]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
CAUSE = Context(request_id="cause-12345678", origin="http", actor_source=Actor("user", "1", "somebody"))
ROUTE = "/ws/news/<topic>/"


def value(name: str, **labels: str) -> float:
    return exposed_registry().get_sample_value(name, labels) or 0.0


def named(spans: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [span for span in spans if span["name"] == name]


async def send_as_request(layer: Any, message: dict[str, Any]) -> Work:
    """Send to the group from within a request, and return its piece of work."""
    work = Work(
        "GET", origin="http", sampled_as="/", request_id=CAUSE.request_id, kind=layers.SpanKind.SERVER, attributes={}
    )
    work.enter(CAUSE)
    try:
        await layer.group_send(GROUP, message)
    finally:
        work.leave()
        work.finish()
    return work
