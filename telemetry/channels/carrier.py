"""What a channel-layer message carries of its cause, under one key of its own.

`request_id`, actor and the rest of `telemetry.context.to_carrier`, the sender's span as `traceparent`, the time of the
sending as `sent_at` (seconds since 1970), and for a group's message `broadcast`. It's all one text of JSON: a layer
decodes each recipient's copy, and one text costs it a tenth of ten. No two sendings have the same one, so a broadcast
is known by it, and parsed once.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation

from telemetry.context import Context, to_carrier

CARRIER = "telemetry"
BROADCAST = "broadcast"


async def carrier_of(context: Context) -> dict[str, str]:
    """Return `context` as it travels."""
    try:
        return to_carrier(context)
    except SynchronousOnlyOperation:  # an async view that hasn't looked at its user yet: to load one takes a query
        return await sync_to_async(to_carrier)(context)


def parse(text: object) -> dict[str, Any]:
    """Return what a carrier says; nothing where it's missing or broken."""
    try:
        carrier = orjson.loads(text) if isinstance(text, str) else {}
    except orjson.JSONDecodeError:
        return {}
    return carrier if isinstance(carrier, dict) else {}


def sent_at(carrier: Mapping[str, Any]) -> float | None:
    """Return when a message was sent, in seconds since 1970; None where that isn't told."""
    try:
        return float(carrier.get("sent_at", ""))
    except (TypeError, ValueError):
        return None


def without_carrier(message: dict[str, Any]) -> dict[str, Any]:
    """Return the message as its handler gets it. Layers give several consumers one object: it's left as it is."""
    plain = message.copy()
    plain.pop(CARRIER, None)
    return plain
