"""What is counted while the platform is closed."""

from telemetry.metrics import counter

TURNED_AWAY = counter(
    "ops_maintenance_turned_away_total",
    "Requests and sockets that maintenance mode turned away.",
    ["kind"],
    known=["http", "websocket"],
)
