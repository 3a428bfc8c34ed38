"""What is counted of the chat."""

from telemetry.metrics import counter

MESSAGES = counter("chat_messages_total", "Messages stored.", ["room"])
