"""What is counted of the chat. What is lost on the way to a socket is counted where it's lost, by `telemetry`."""

from chat.models import EventKind
from telemetry.metrics import counter, gauge

MESSAGES = counter("chat_messages_total", "Messages stored.", ["room"])
EVENTS = counter(
    "chat_events_total", "Changes of rooms that clients have to know, by kind.", ["kind"], known=EventKind.values
)
REPLAYS = counter(
    "chat_replays_total",
    "Requests for what was missed, by outcome: replayed, or told to fetch the room anew.",
    ["outcome"],
    known=("replayed", "resync"),
)
REPLAYED = counter("chat_replayed_events_total", "Events that clients had missed, and were sent.")
BEHIND = counter(
    "chat_sockets_behind_total", "Sockets that were told of a number because its push hadn't reached them."
)
CLOSED = counter(
    "chat_sockets_closed_total",
    "Sockets that were closed by the server, by reason.",
    ["reason"],
    known=("logged_out", "no_access", "role_lost", "slow", "limited"),
)
LIMITED = counter(
    "chat_limited_total",
    "What was refused as too much, by limit.",
    ["limit"],
    known=("user", "address", "sockets", "questions"),
)
PRESENT = gauge(
    "chat_present_people", "People who are in a room, counted once for each room, as this process saw last."
)
