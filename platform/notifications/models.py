"""What people are told of, how they want to be told, and the mails that told them."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

import audit
from notifications.kinds import DIGESTS, Channels, headline
from telemetry.context import new_request_id


def new_mail_id() -> uuid.UUID:
    """Return a new mail's id, which sorts by time."""
    return uuid.UUID(new_request_id())


class MailKind(models.TextChoices):
    """When a mail goes out: soon after what it tells, or once in a while."""

    SOON = "soon"
    DAILY = "daily"
    WEEKLY = "weekly"


class MailState(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    LEFT_OUT = "left_out"  # all of it was read meanwhile, or isn't wanted any more
    FAILED = "failed"  # the server refused the address for good


@audit.track()
class Mail(models.Model):
    """One mail to one person. Its id is in the header Message-ID, so that mail servers know a second try again."""

    id = models.UUIDField(primary_key=True, default=new_mail_id, editable=False)
    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mails")
    kind = models.CharField(max_length=10, choices=MailKind.choices)
    state = models.CharField(max_length=10, choices=MailState.choices, default=MailState.PENDING)
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True, help_text="The request that made it.")

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["recipient", "kind", "-created_at"], name="notifications_mails_newest")
        ]

    def __str__(self) -> str:
        return f"{self.kind} mail {self.pk}"


# Left out is what follows from other rows, and what only says that something is still to be done.
@audit.track(exclude=["count", "latest_at", "email_due_at", "digest"])
class Notification(models.Model):
    """One thing that one person is told, once.

    While those of a kind on a topic are unread, the first of them stands for all: it's their `leader`, and `count`
    says how many they are. Lists, sockets and the number at the bell know leaders alone.
    """

    recipient = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    kind = models.CharField(max_length=50)
    title = models.CharField(max_length=200)
    body = models.CharField(max_length=1_000, blank=True)
    url = models.CharField(max_length=500, blank=True)
    topic = models.CharField(max_length=100, blank=True, help_text="What it's about, such as blog.post-42.")
    topic_title = models.CharField(max_length=200, blank=True)
    leader = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="members")
    count = models.PositiveIntegerField(default=1, db_default=1)
    is_on_page = models.BooleanField(default=True, db_default=True)
    created_at = models.DateTimeField(db_default=Now())
    latest_at = models.DateTimeField(db_default=Now(), help_text="When the last of those that it stands for came.")
    read_at = models.DateTimeField(null=True, blank=True)
    # What is still to be mailed: set until it's in a mail, or doesn't have to be any more.
    email_due_at = models.DateTimeField(null=True, blank=True, editable=False)
    digest = models.CharField(max_length=10, blank=True, editable=False)
    mail = models.ForeignKey(Mail, null=True, blank=True, on_delete=models.SET_NULL, related_name="notifications")
    request_id = models.CharField(max_length=64, blank=True, help_text="The request that caused it.")
    # A task may run twice; its notification is written once.
    source_task_id = models.UUIDField(null=True, unique=True, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["-latest_at", "-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["recipient", "-latest_at", "-id"],
                name="notifications_latest",
                condition=Q(leader__isnull=True, is_on_page=True),
            ),
            models.Index(
                fields=["recipient"],
                name="notifications_unread",
                condition=Q(read_at__isnull=True, leader__isnull=True, is_on_page=True),
            ),
            models.Index(
                fields=["email_due_at"], name="notifications_email_due", condition=Q(email_due_at__isnull=False)
            ),
            models.Index(fields=["digest", "recipient"], name="notifications_digest", condition=~Q(digest="")),
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["recipient", "kind", "topic", "is_on_page"],
                condition=Q(read_at__isnull=True, leader__isnull=True) & ~Q(topic=""),
                name="notifications_one_leader",
            )
        ]

    def __str__(self) -> str:
        return self.headline

    @property
    def is_read(self) -> bool:
        """Whether the recipient has seen it."""
        return self.read_at is not None

    @property
    def headline(self) -> str:
        """What it says in one line: its title, or how many it stands for."""
        return self.title if self.count == 1 else headline(self.kind, self.count, self.topic_title)

    @property
    def kind_label(self) -> str:
        """Its kind in a word or two."""
        return self.kind.replace("_", " ").capitalize()

    def as_message(self) -> dict[str, Any]:
        """Return the notification as sockets tell it."""
        return {
            "id": self.pk,
            "kind": self.kind,
            "title": self.headline,
            "body": self.body if self.count == 1 else "",
            "url": self.url,
            "count": self.count,
            "created_at": self.created_at.isoformat(),
            "latest_at": self.latest_at.isoformat(),
        }


@audit.track()
class Preference(models.Model):
    """How one person wants to be told of one kind; where there is no row, the kind's defaults hold."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notification_preferences"
    )
    kind = models.CharField(max_length=50)
    page = models.BooleanField()
    email = models.BooleanField()
    digest = models.CharField(max_length=10, choices=DIGESTS)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "kind"], name="notifications_one_preference")
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.kind}"

    @property
    def channels(self) -> Channels:
        """The chosen ways."""
        return Channels(page=self.page, email=self.email, digest=self.digest)  # type: ignore[arg-type]
