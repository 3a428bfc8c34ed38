"""The ledger as Django reads it, and what its readers keep: searches and exports.

The ledger's table is made by SQL (audit/sql), partitioned, and never written by the ORM.
"""

import uuid

from django.conf import settings
from django.db import models

from audit import values
from audit.registry import exempt, track


class Event(models.Model):
    """One thing that happened: a row created, updated or deleted, a login, a denial, a read of the ledger.

    `changes` maps each field to `[before, after]` on an update; on creation and deletion it is the whole row. A
    many-to-many field maps to `{"added": […], "removed": […]}`, a masked value to `{"masked": "<keyed digest>"}`, one
    that is too long to `{"cut": "<its beginning>", "length": …, "sha256": …}`. Numbers have all their digits: int where
    they are whole, else Decimal. JSON of a row that reads like one of these marks, or is a JSON null, is within
    `{"json": …}`. `audit.values.to_python` makes of a value what the model's field held.
    """

    id = models.BigAutoField(primary_key=True)
    recorded_at = models.DateTimeField()
    txid = models.BigIntegerField()
    action = models.TextField()
    outcome = models.TextField(choices=[("success", "success"), ("denied", "denied"), ("error", "error")])
    object_type = models.TextField(blank=True)
    object_id = models.TextField(blank=True)
    changes = models.JSONField(null=True, encoder=values.ExactEncoder, decoder=values.ExactDecoder)
    actor_type = models.TextField(blank=True)
    actor_id = models.TextField(blank=True)
    actor_label = models.TextField(blank=True)
    request_id = models.TextField(blank=True)
    trace_id = models.TextField(blank=True)
    span_id = models.TextField(blank=True)
    task_id = models.TextField(blank=True)
    origin = models.TextField(blank=True)
    operation = models.TextField(blank=True)
    context = models.JSONField(default=dict)
    schema_version = models.SmallIntegerField(default=1)

    class Meta:
        managed = False
        db_table = "audit_event"
        default_permissions = ("view",)
        permissions = [
            ("view_personal", "Can see personal values in the ledger"),
            ("view_masked", "Can see the digests of masked values in the ledger"),
            ("export_event", "Can export the ledger"),
            ("restore_object", "Can restore an object to what the ledger holds"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.object_id}".strip()

    @property
    def is_whole_row(self) -> bool:
        """Whether `changes` is a row as it was created or deleted, and not what differs."""
        return self.action.endswith((".created", ".deleted"))

    @property
    def differences(self) -> dict[str, list[object]]:
        """The changes as `[before, after]` for every kind of event; many-to-many fields as removed and added.

        What a recorded event tells (`audit.record`) has no before.
        """
        changes = self.changes or {}
        match self.action.rpartition(".")[2]:
            case "deleted":
                return {field: [value, None] for field, value in changes.items()}
            case "updated":
                return {field: _pair(value) for field, value in changes.items()}
            case _:
                return {field: [None, value] for field, value in changes.items()}


def _pair(value: object) -> list[object]:
    if isinstance(value, list) and len(value) == 2:
        return value
    if isinstance(value, dict) and value and value.keys() <= {"added", "removed"}:
        return [value.get("removed"), value.get("added")]
    return [None, value]


@track()
class SavedSearch(models.Model):
    """A search that somebody gave a name, as the query of its address."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)
    query = models.CharField(max_length=4_000, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="audit_saved_search_name")]

    def __str__(self) -> str:
        return self.name


@exempt(reason="Its life is told by the events audit.ledger.export_requested, exported and export_expired.")
class Export(models.Model):
    """A long export of the ledger: what was asked, how far it is, and its file until that expires."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        FINISHED = "finished"
        FAILED = "failed"
        EXPIRED = "expired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    scopes = models.JSONField(null=True)  # of the token that asked for it; None where none did
    shows = models.JSONField(default=dict)  # what its file shows, so that nobody gets it who may see less
    format = models.CharField(max_length=20)
    filters = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    estimated_count = models.BigIntegerField(default=0)
    event_count = models.BigIntegerField(default=0)
    cursor = models.TextField(blank=True)
    file_name = models.CharField(max_length=200, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    sha256_hex = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)  # also of one that isn't finished: then it's given up

    class Meta:
        default_permissions = ()
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.format} {self.pk}"
