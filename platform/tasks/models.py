"""What became of each background task: one row from the moment it is asked for."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

import audit

LONGEST_ERROR = 2_000


class State(models.TextChoices):
    """Where a task is in its life."""

    QUEUED = "queued", "Queued"  # in the database, not yet with the broker
    PUBLISHED = "published", "Published"
    RUNNING = "running", "Running"
    RETRYING = "retrying", "Retrying"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"


FINISHED_STATES = (State.SUCCEEDED, State.FAILED)


# The ledger tells a task's life by its states; what changes along with them, and the raw message, stays here.
@audit.track(exclude=["message", "carrier", "published_at", "started_at", "finished_at", "worker"])
class TaskRun(models.Model):
    """One task, asked for once and run until it succeeds or is given up; its id is Celery's."""

    id = models.UUIDField(primary_key=True, editable=False)
    name = models.CharField(max_length=200)
    queue = models.CharField(max_length=100, blank=True)
    state = models.CharField(max_length=20, choices=State, default=State.QUEUED)
    arguments = models.JSONField(default=dict, help_text="For people to read: masked and cut short.")
    # As text: `jsonb` has no form for every string that a message may hold.
    message = models.TextField(null=True, editable=False, help_text="JSON: what it takes to publish it again.")  # noqa: DJ001
    carrier = models.JSONField(default=dict, editable=False, help_text="The context it was asked for in.")
    attempts = models.PositiveIntegerField(default=0)
    enqueued_at = models.DateTimeField(db_default=Now())
    eta = models.DateTimeField(null=True, help_text="Not to start before this.")
    published_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True, help_text="The start of the last attempt.")
    finished_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=LONGEST_ERROR, blank=True)
    worker = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    trace_id = models.CharField(max_length=32, blank=True)
    actor_type = models.CharField(max_length=20, blank=True)
    actor_id = models.CharField(max_length=100, blank=True)
    actor_label = models.CharField(max_length=200, blank=True)
    parent_task_id = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-enqueued_at", "-id"]
        verbose_name = "task run"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["-enqueued_at", "-id"], name="tasks_taskrun_newest"),
            models.Index(fields=["actor_id", "-enqueued_at"], name="tasks_taskrun_actor"),
            models.Index(fields=["request_id"], name="tasks_taskrun_request"),
            models.Index(fields=["enqueued_at"], name="tasks_taskrun_waiting", condition=models.Q(state=State.QUEUED)),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"

    @property
    def is_finished(self) -> bool:
        """Whether the task has come to its end, good or bad."""
        return self.state in FINISHED_STATES

    @property
    def queue_wait_seconds(self) -> float | None:
        """How long the last attempt waited for a worker; None before its start.

        A later attempt counts from its due time, which only the broker knows: its wait isn't told.
        """
        if self.started_at is None or self.attempts > 1:
            return None
        due = max(self.enqueued_at, self.eta) if self.eta else self.enqueued_at
        return max(0.0, (self.started_at - due).total_seconds())

    @property
    def run_seconds(self) -> float | None:
        """How long the last attempt has taken so far; None before its start."""
        if self.started_at is None:
            return None
        end: datetime = self.finished_at or timezone.now()
        return max(0.0, (end - self.started_at).total_seconds())
