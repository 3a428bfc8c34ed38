"""Channels: the handshake, each message, each sending, each delivery and each loss, in the trace of what caused them.

`HandshakeMiddleware` stands around the router, `TracedConsumer` comes first of a consumer's bases, `TracedChannelLayer`
before a channel layer. A message for one recipient is a span of its own, a child of its sending; all deliveries of a
group's message in one process are one span, `deliver <type>`.
"""

from telemetry.channels.carrier import CARRIER
from telemetry.channels.connections import HandshakeMiddleware, UnknownPath
from telemetry.channels.consumers import TracedConsumer
from telemetry.channels.drops import note_dropped
from telemetry.channels.layers import TracedChannelLayer
from telemetry.channels.metrics import DISCONNECTED, SLOW_CONSUMER
from telemetry.channels.queues import BoundedQueue

__all__ = [
    "CARRIER",
    "DISCONNECTED",
    "SLOW_CONSUMER",
    "BoundedQueue",
    "HandshakeMiddleware",
    "TracedChannelLayer",
    "TracedConsumer",
    "UnknownPath",
    "note_dropped",
]
