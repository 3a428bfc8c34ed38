"""Rooms and what is said in them."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

import audit


# The sequence moves with each message, which is in the ledger itself.
@audit.track(exclude=["last_sequence"])
class Room(models.Model):
    """A place to talk. Its messages are numbered without gaps, so that a client sees what it missed."""

    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=100)
    topic = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    last_sequence = models.BigIntegerField(default=0, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the room's page."""
        return f"/chat/{self.slug}/"


@audit.track()
class Message(models.Model):
    """One thing said, as plain text."""

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="messages")
    sequence = models.BigIntegerField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chat_messages")
    body = models.CharField(max_length=4_000)
    client_id = models.UUIDField(null=True, blank=True, help_text="The sender's own id: sent twice, stored once.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar[list[str]] = ["sequence"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["room", "sequence"], name="chat_message_sequence"),
            models.UniqueConstraint(fields=["room", "author", "client_id"], name="chat_message_client_id"),
        ]

    def __str__(self) -> str:
        return f"{self.room_id} #{self.sequence}"

    def as_message(self) -> dict[str, Any]:
        """Return the message as sockets and the API tell it; `author` should be loaded."""
        return {
            "id": self.pk,
            "sequence": self.sequence,
            "author": {"id": self.author_id, "name": self.author.name},
            "body": self.body,
            "client_id": str(self.client_id) if self.client_id else None,
            "created_at": self.created_at.isoformat(),
        }
