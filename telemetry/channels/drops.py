"""Messages of the channel layer that are lost, counted and, where it's known, noted in their broadcast's span."""

from collections.abc import Mapping
from typing import Any

from telemetry.channels import broadcasts
from telemetry.channels.carrier import CARRIER
from telemetry.channels.metrics import DROPPED
from telemetry.faults import note_fault


def note_dropped(message: Mapping[str, Any], reason: str) -> None:
    """Count a message that a receiving loop loses; `reason` is one of `telemetry.channels.metrics`."""
    DROPPED.labels(reason).inc()
    try:
        key = message.get(CARRIER)
        here = broadcasts.here()
        broadcast = here.of(key, message) if here is not None and isinstance(key, str) else None
        if broadcast is not None:
            broadcast.note_dropped()
    except Exception as error:
        note_fault("channels.drop", error)
