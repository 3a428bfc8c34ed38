"""What is counted of the tasks' rows; Celery's own figures are telemetry's."""

from telemetry.metrics import counter

PUBLISH_FAILURES = counter(
    "tasks_publish_failures_total", "Tasks that the broker didn't take; they stay queued in the database.", ["task"]
)
REPUBLISHED = counter("tasks_republished_total", "Queued tasks that the sweeper published.", ["task"])
DUPLICATES = counter("tasks_duplicates_total", "Messages of finished tasks, not run again.", ["task"])
