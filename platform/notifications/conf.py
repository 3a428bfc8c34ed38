"""The settings of notifications, each with its default."""

from django.conf import settings


def sockets_of_user() -> int:
    """`NOTIFICATIONS_SOCKETS_OF_USER`: how many pages of the site one person has open, over all processes."""
    return int(getattr(settings, "NOTIFICATIONS_SOCKETS_OF_USER", 100))


def sockets_of_address() -> int:
    """`NOTIFICATIONS_SOCKETS_OF_ADDRESS`: how many one address has open, where many people may sit."""
    return int(getattr(settings, "NOTIFICATIONS_SOCKETS_OF_ADDRESS", 2_000))
