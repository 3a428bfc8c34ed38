"""What is counted of notifications and of pushes to sockets."""

from telemetry.metrics import counter

CREATED = counter("notifications_created_total", "Notifications written, by kind.", ["kind"])
PUSH_DROPPED = counter(
    "notifications_push_dropped_total", "Pushes that didn't reach the channel layer, by reason.", ["reason"]
)
