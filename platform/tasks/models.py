"""What became of each background task: one row from the moment it's asked for. Celery and Redis only do the waking."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Now
from django.utils import timezone

import audit

LONGEST_ERROR = 2_000
NO_LIMIT = 32_767  # attempts of a task that Celery would retry for ever


class Outcome(models.TextChoices):
    """What came of a task in the end."""

    SUCCEEDED = "succeeded", "Succeeded"
    DEAD = "dead", "Dead"  # given up; it stays with its whole history until somebody retries it
    CANCELLED = "cancelled", "Cancelled"


class State(models.TextChoices):
    """Where a task is in its life."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    RETRYING = "retrying", "Retrying"  # waits for its next attempt
    SUCCEEDED = Outcome.SUCCEEDED.value, "Succeeded"
    DEAD = Outcome.DEAD.value, "Dead"
    CANCELLED = Outcome.CANCELLED.value, "Cancelled"


FINISHED_STATES = (State.SUCCEEDED, State.DEAD, State.CANCELLED)

_STATE = Case(
    When(~Q(outcome=""), then="outcome"),
    When(lease_expires_at__isnull=False, then=Value(State.RUNNING)),
    When(attempts__gt=0, then=Value(State.RETRYING)),
    default=Value(State.QUEUED),
    output_field=models.CharField(max_length=20),
)


# The ledger tells what was asked for and what came of it. What changes on the way is in the attempts: it's no
# evidence, and two more events for each task would be most of the ledger.
@audit.track(
    exclude=[
        *("state", "message", "carrier", "attempts", "max_attempts", "eta", "sent_at", "started_at", "finished_at"),
        *("lease_expires_at", "worker", "attempt_trace_id", "duplicates", "progress_done", "progress_total"),
        *("progress_note", "result"),
    ]
)
class TaskRun(models.Model):
    """One task, asked for once and run until it succeeds or is given up; its id is Celery's."""

    id = models.UUIDField(primary_key=True, editable=False)
    name = models.CharField(max_length=200)
    queue = models.CharField(max_length=100, blank=True)
    priority = models.PositiveSmallIntegerField(default=0, help_text="0 goes first, 9 last.")
    outcome = models.CharField(max_length=20, choices=Outcome, blank=True)
    # Derived by the database, so that it can't contradict what it's made of.
    state = models.GeneratedField(
        expression=_STATE, output_field=models.CharField(max_length=20, choices=State), db_persist=True
    )
    arguments = models.JSONField(default=dict, help_text="For people to read: masked and cut short.")
    # As text: `jsonb` has no form for every string that a message may hold.
    message = models.TextField(null=True, editable=False, help_text="JSON: what it takes to send it again.")  # noqa: DJ001
    carrier = models.JSONField(default=dict, editable=False, help_text="The context it was asked for in.")
    unique_key = models.CharField(max_length=200, blank=True, help_text="One unfinished run has it at a time.")
    dead_letter = models.CharField(max_length=200, blank=True, help_text="The task that is told if this one dies.")
    attempts = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=NO_LIMIT)
    duplicates = models.PositiveIntegerField(default=0, help_text="Messages of it that were not run again.")
    enqueued_at = models.DateTimeField(db_default=Now())
    eta = models.DateTimeField(null=True, help_text="Not to start before this.")
    # When its message was last handed to the broker; none where that's still to be done.
    sent_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True, help_text="The start of the last attempt.")
    finished_at = models.DateTimeField(null=True)
    # While a worker has it: who doesn't renew the lease in time has lost it.
    lease_expires_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=200, blank=True)
    attempt_trace_id = models.CharField(max_length=32, blank=True, db_default="", help_text="The last attempt's.")
    cancel_requested_at = models.DateTimeField(null=True)
    progress_done = models.PositiveBigIntegerField(default=0)
    progress_total = models.PositiveBigIntegerField(default=0)
    progress_note = models.CharField(max_length=200, blank=True)
    result = models.JSONField(null=True)
    error = models.CharField(max_length=LONGEST_ERROR, blank=True)
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
            models.Index(fields=["queue", "enqueued_at"], name="tasks_taskrun_unfinished", condition=Q(outcome="")),
            models.Index(fields=["-finished_at"], name="tasks_taskrun_dead", condition=Q(outcome="dead")),
            models.Index(
                fields=["-enqueued_at", "-id"],
                name="tasks_taskrun_ended_badly",
                condition=Q(outcome__in=["dead", "cancelled"]),
            ),
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["unique_key"], name="tasks_taskrun_unique", condition=Q(outcome="") & ~Q(unique_key="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.id}"

    @property
    def is_finished(self) -> bool:
        """Whether the task has come to its end, good or bad."""
        return bool(self.outcome)

    @property
    def state_label(self) -> str:
        """The state, for people."""
        return State(self.state).label

    @property
    def queue_wait_seconds(self) -> float | None:
        """How long the first attempt waited for a worker; None before its start, and once there was another."""
        if self.started_at is None or self.attempts > 1:
            return None
        # One that is later is the next attempt's.
        due = max(self.enqueued_at, self.eta) if self.eta and self.eta <= self.started_at else self.enqueued_at
        return max(0.0, (self.started_at - due).total_seconds())

    @property
    def run_seconds(self) -> float | None:
        """How long the last attempt has taken so far; None before its start."""
        if self.started_at is None:
            return None
        end: datetime = self.finished_at or timezone.now()
        return max(0.0, (end - self.started_at).total_seconds())

    @property
    def tries(self) -> list["TaskAttempt"]:
        """Its attempts so far, the first one first.

        The present one has no row of its own yet, and one that succeeded never gets one: the run's own tells of both.
        """
        tries = list(self.past_tries.all())
        if self.state not in (State.RUNNING, State.SUCCEEDED) or self.started_at is None:
            return tries
        if tries and tries[-1].number == self.attempts:  # an older release wrote one
            if tries[-1].outcome:
                return tries
            del tries[-1]
        own = TaskAttempt(
            run=self,
            number=self.attempts,
            worker=self.worker,
            trace_id=self.attempt_trace_id,
            started_at=self.started_at,
            ended_at=self.finished_at,
            outcome=AttemptOutcome.SUCCEEDED if self.is_finished else "",
        )
        return [*tries, own]


class AttemptOutcome(models.TextChoices):
    """What came of one attempt."""

    SUCCEEDED = "succeeded", "Succeeded"
    RETRIED = "retried", "Failed, tried again"
    FAILED = "failed", "Failed"
    LOST = "lost", "Lost with its worker"
    CANCELLED = "cancelled", "Cancelled"


@audit.exempt(reason="What came of a task is in its run's events; how often a worker began with it is no evidence.")
class TaskAttempt(models.Model):
    """One worker's try at a task that came to no good end; `TaskRun.tries` has the others as well.

    Its number fences it: who comes back with an old one writes nothing any more.
    """

    run = models.ForeignKey(TaskRun, on_delete=models.CASCADE, related_name="past_tries")
    number = models.PositiveIntegerField()
    worker = models.CharField(max_length=200, blank=True)
    trace_id = models.CharField(max_length=32, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, choices=AttemptOutcome, blank=True)
    error = models.CharField(max_length=LONGEST_ERROR, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["number"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["run", "number"], name="tasks_taskattempt_number"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.run_id}"

    @property
    def run_seconds(self) -> float:
        """How long it took, or has taken so far."""
        return max(0.0, ((self.ended_at or timezone.now()) - self.started_at).total_seconds())


@audit.exempt(reason="It only says that an effect was made; the effect has events of its own.")
class TaskEffect(models.Model):
    """An effect that a run has made, and is not to make again, however often it's run."""

    run = models.ForeignKey(TaskRun, on_delete=models.CASCADE, related_name="effects")
    name = models.CharField(max_length=100)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["run", "name"], name="tasks_taskeffect_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.run_id}"


@audit.track()
class Queue(models.Model):
    """What an operator said of a queue; one that nobody touched has no row."""

    name = models.CharField(max_length=100, primary_key=True)
    is_paused = models.BooleanField(default=False)
    changed_at = models.DateTimeField(auto_now=True)
    changed_by = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return self.name
