"""What is counted of the tasks' rows; Celery's own figures are telemetry's."""

from telemetry.metrics import counter

PUBLISH_FAILURES = counter(
    "tasks_publish_failures_total", "Tasks that the broker didn't take; they wait in the database.", ["task"]
)
REPUBLISHED = counter("tasks_republished_total", "Tasks whose lost message the sweep sent again.", ["task"])
DUPLICATES = counter("tasks_duplicates_total", "Messages of tasks finished or at work, not run again.", ["task"])
LOST_ATTEMPTS = counter("tasks_lost_attempts_total", "Attempts whose worker was lost.", ["task"])
DEAD = counter("tasks_dead_total", "Tasks that were given up.", ["task"])
FENCED = counter("tasks_fenced_total", "What attempts that had lost their lease would have written, and didn't.")
