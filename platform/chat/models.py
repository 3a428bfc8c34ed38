"""Rooms, who belongs to them, what is said in them, and the log of each room by which clients keep up."""

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

import audit
from images.models import Picture

LONGEST_BODY = 4_000
TOPIC = "chat.room-"  # of notifications


class RoomKind(models.TextChoices):
    """Who finds a room: everybody, its members, or two people."""

    PUBLIC = "public"
    PRIVATE = "private"
    DIRECT = "direct"


class Role(models.TextChoices):
    """What a member may do in a room."""

    MEMBER = "member"
    MODERATOR = "moderator"
    OWNER = "owner"


class EventKind(models.TextChoices):
    """What happens in a room that its clients have to know."""

    MESSAGE_CREATED = "message.created"
    MESSAGE_EDITED = "message.edited"
    MESSAGE_DELETED = "message.deleted"
    MESSAGE_REACTED = "message.reacted"
    MESSAGE_PINNED = "message.pinned"
    ROOM_CHANGED = "room.changed"
    MEMBER_CHANGED = "member.changed"


# The sequence moves with each event, all of which are in the ledger themselves.
@audit.track(exclude=["last_sequence"])
class Room(models.Model):
    """A place to talk. What happens in it is numbered without gaps, so that a client sees what it missed."""

    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=100)
    topic = models.CharField(max_length=200, blank=True)
    kind = models.CharField(
        max_length=10, choices=RoomKind.choices, default=RoomKind.PUBLIC, db_default=RoomKind.PUBLIC
    )
    created_at = models.DateTimeField(db_default=Now())
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_sequence = models.BigIntegerField(default=0, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["name"]
        permissions = [("moderate_room", "Can moderate public rooms")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the room's page."""
        return f"/chat/{self.slug}/"

    @property
    def notification_topic(self) -> str:
        """Return what notifications of the room are grouped by."""
        return f"{TOPIC}{self.pk}"

    @property
    def is_archived(self) -> bool:
        """Whether it's only there to be read."""
        return self.archived_at is not None

    @property
    def is_direct(self) -> bool:
        """Whether it's the conversation of two people."""
        return self.kind == RoomKind.DIRECT


@audit.track()
class Member(models.Model):
    """Somebody who belongs to a room. Public rooms can be entered without."""

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chat_memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    joined_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar[list[str]] = ["joined_at", "id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["room", "user"], name="chat_member_once")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.room_id}: {self.role}"


# What follows from the text, and the number of the last change, which is an event of its own.
@audit.track(exclude=["html", "version"])
class Message(models.Model):
    """One thing said, in Markdown. What is deleted stays as a row without words; the ledger has what it said."""

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="messages")
    sequence = models.BigIntegerField(help_text="The room's number of the event that it was said by.")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chat_messages")
    body = models.CharField(max_length=LONGEST_BODY, blank=True)
    html = models.TextField(blank=True, default="", db_default="", editable=False)
    client_id = models.UUIDField(null=True, blank=True, help_text="The sender's own id: sent twice, stored once.")
    reply_to = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="replies")
    mentions = ArrayField(
        models.BigIntegerField(), default=list, db_default=[], blank=True, help_text="Ids of people named in it."
    )
    pictures = models.ManyToManyField(Picture, blank=True, related_name="chat_messages")
    created_at = models.DateTimeField(db_default=Now())
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    pinned_at = models.DateTimeField(null=True, blank=True)
    version = models.BigIntegerField(default=0, db_default=0, help_text="The number of the last event that changed it.")

    class Meta:
        ordering: ClassVar[list[str]] = ["sequence"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["room", "sequence"], name="chat_message_sequence"),
            models.UniqueConstraint(fields=["room", "author", "client_id"], name="chat_message_client_id"),
        ]
        indexes: ClassVar[list[models.Index]] = [
            GinIndex(SearchVector("body", config="simple"), name="chat_message_words"),
            models.Index(fields=["room", "pinned_at"], condition=Q(pinned_at__isnull=False), name="chat_message_pins"),
        ]

    def __str__(self) -> str:
        return f"{self.room_id} #{self.sequence}"

    @property
    def is_deleted(self) -> bool:
        """Whether it was taken away."""
        return self.deleted_at is not None


@audit.track()
class Reaction(models.Model):
    """What one person answered to a message with one sign."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="reactions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chat_reactions")
    emoji = models.CharField(max_length=16)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["message", "user", "emoji"], name="chat_reaction_once")
        ]

    def __str__(self) -> str:
        return f"{self.emoji} of {self.user_id} to {self.message_id}"


@audit.exempt(reason="Derived: each row numbers a change of a message, room or member, which the ledger has itself.")
class RoomEvent(models.Model):
    """One change of a room that clients have to know, by its number: it names what changed."""

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="events")
    sequence = models.BigIntegerField()
    kind = models.CharField(max_length=20, choices=EventKind.choices)
    message = models.ForeignKey(Message, null=True, on_delete=models.CASCADE, related_name="events")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar[list[str]] = ["sequence"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["room", "sequence"], name="chat_event_sequence")
        ]
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["created_at"], name="chat_event_age")]

    def __str__(self) -> str:
        return f"{self.room_id} #{self.sequence} {self.kind}"


@audit.exempt(reason="How far somebody has read is told to them alone, moves with each glance, and decides nothing.")
class ReadMark(models.Model):
    """How far one person has read in one room; it only moves forward."""

    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="read_marks")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    sequence = models.BigIntegerField()
    read_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["room", "user"], name="chat_read_mark_once")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} read {self.room_id} up to {self.sequence}"


class RestrictionKind(models.TextChoices):
    """Who is muted reads and doesn't write; who is banned isn't let in."""

    MUTE = "mute"
    BAN = "ban"


@audit.track()
class Restriction(models.Model):
    """A mute or a ban, in one room, or in all where there's no room; for a time, or until it's lifted."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chat_restrictions")
    room = models.ForeignKey(Room, null=True, blank=True, on_delete=models.CASCADE, related_name="restrictions")
    kind = models.CharField(max_length=10, choices=RestrictionKind.choices)
    reason = models.CharField(max_length=500)
    imposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True, blank=True)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["user"], condition=Q(lifted_at__isnull=True), name="chat_restriction_open")
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.user_id}"


class ReportState(models.TextChoices):
    OPEN = "open"
    ACTED = "acted"
    DISMISSED = "dismissed"


@audit.track()
class Report(models.Model):
    """Somebody asks the moderators to look at a message."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="reports")
    reporter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="chat_reports")
    reason = models.CharField(max_length=500)
    body = models.CharField(max_length=LONGEST_BODY, help_text="What the message said when it was reported.")
    state = models.CharField(max_length=10, choices=ReportState.choices, default=ReportState.OPEN)
    note = models.CharField(max_length=500, blank=True, help_text="Of the moderator.")
    created_at = models.DateTimeField(db_default=Now())
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["message", "reporter"], condition=Q(state="open"), name="chat_report_open_once"
            )
        ]

    def __str__(self) -> str:
        return f"Report {self.pk} of message {self.message_id}"
