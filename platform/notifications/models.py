"""What people are told of."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

import audit


@audit.track()
class Notification(models.Model):
    """One thing that one person is told, once."""

    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    kind = models.CharField(max_length=50)
    title = models.CharField(max_length=200)
    body = models.CharField(max_length=1_000, blank=True)
    url = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    read_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True, help_text="The request that caused it.")
    # A task may run twice; its notification is written once.
    source_task_id = models.UUIDField(null=True, unique=True, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["recipient", "-id"], name="notifications_newest"),
            models.Index(fields=["recipient"], name="notifications_unread", condition=models.Q(read_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_read(self) -> bool:
        """Whether the recipient has seen it."""
        return self.read_at is not None

    def as_message(self) -> dict[str, Any]:
        """Return the notification as sockets tell it."""
        return {
            "id": self.pk,
            "kind": self.kind,
            "title": self.title,
            "body": self.body,
            "url": self.url,
            "created_at": self.created_at.isoformat(),
        }
