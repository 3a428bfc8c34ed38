"""What Channels' hooks count. Labels are bounded: routes by `routes`, close codes and reasons by what is known here."""

from telemetry.metrics import TASK_BUCKETS, counter, gauge, histogram

CONNECTIONS = gauge("websocket_server_active_connections", "Open WebSockets.", ["http_route"])
CONNECTION_DURATION = histogram(
    "websocket_server_connection_duration_seconds",
    "How long WebSockets were open.",
    ["http_route", "websocket_close_code"],
    buckets=TASK_BUCKETS,
)
MESSAGES = counter("websocket_server_messages_total", "Messages over WebSockets.", ["direction", "http_route"])
HANDLER = histogram(
    "websocket_server_handler_duration_seconds",
    "How long handlers ran.",
    ["http_route"],
    buckets=TASK_BUCKETS,
)
DELIVERY = histogram(
    "channel_layer_delivery_seconds", "From a layer message's sending to its handling.", buckets=TASK_BUCKETS
)
OVER_CAPACITY = "over_capacity"
SLOW_CONSUMER = "slow_consumer"
DISCONNECTED = "disconnected"
DROPPED = counter(
    "channel_layer_dropped_messages_total",
    "Layer messages that were lost: over_capacity at the sender, slow_consumer or disconnected at the receiver.",
    ["reason"],
    known=(OVER_CAPACITY, SLOW_CONSUMER, DISCONNECTED),
)

# RFC 6455's, and those of 4000 and up that mean what the HTTP status of the same end means.
_CLOSE_CODES = frozenset({*range(1000, 1016), 4400, 4401, 4403, 4404, 4408, 4409, 4429})


def close_code_label(code: object) -> str:
    """Return a close code as a label: clients choose theirs, so what isn't known is `_OTHER`."""
    return str(code) if code in _CLOSE_CODES else "_OTHER"
