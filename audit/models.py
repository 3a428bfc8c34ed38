"""The ledger as Django reads it. Its table is made by SQL (audit/sql), partitioned, and never written by the ORM."""

from django.db import models

from audit import values


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

    class Meta:
        managed = False
        db_table = "audit_event"
        default_permissions = ("view",)
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.object_id}".strip()

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
