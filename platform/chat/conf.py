"""The chat's settings, each with its default."""

from django.conf import settings


def messages_per_minute() -> int:
    """`CHAT_MESSAGES_PER_MINUTE`: how many messages one person sends in a minute, over all sockets and the API."""
    return int(getattr(settings, "CHAT_MESSAGES_PER_MINUTE", 120))


def messages_per_minute_of_address() -> int:
    """`CHAT_MESSAGES_PER_MINUTE_OF_ADDRESS`: how many come from one address, where many people may sit."""
    return int(getattr(settings, "CHAT_MESSAGES_PER_MINUTE_OF_ADDRESS", 600))


def sockets_of_user() -> int:
    """`CHAT_SOCKETS_OF_USER`: how many rooms and tabs one person has open, over all processes."""
    return int(getattr(settings, "CHAT_SOCKETS_OF_USER", 20))


def sockets_of_address() -> int:
    """`CHAT_SOCKETS_OF_ADDRESS`: how many sockets one address has open, over all processes."""
    return int(getattr(settings, "CHAT_SOCKETS_OF_ADDRESS", 200))
