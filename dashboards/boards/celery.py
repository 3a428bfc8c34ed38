"""Tasks: whether they flow, how long they wait and run, how they end; and what some of them are for."""

from dashboards.boards.board import Board, Row, values_of
from dashboards.boards.panels import KEPT, Query, falling, heat, lines, number, rising, rows
from dashboards.boards.requests import OLDEST_MESSAGE, RATE, or_nought, quantile, rate_by

_JOB = 'job="$job"'
_TASK = 'job="$job", task=~"$task"'
_TO_TASK = ("This task alone", "/d/glasshouse-celery?var-task=${__data.fields.task}&" + KEPT)
_SERIES_TO_TASK = ("This task alone", "/d/glasshouse-celery?var-task=${__field.labels.task}&" + KEPT)

_NOW = Row(
    "Now",
    [
        number(
            "Workers",
            "Those that take tasks. A worker that hangs counts until its process ends: look at the oldest message too.",
            "none",
            Query(f"sum(celery_workers{{{_JOB}}})", "workers"),
            thresholds=falling(1, 1),
        ),
        number(
            "Messages waiting",
            "In all queues.",
            "none",
            Query(f"sum(celery_queue_length{{{_JOB}}})", "messages"),
            thresholds=rising(50, 100),
        ),
        number(
            "Oldest message",
            "How long it has waited: what shows that nobody takes from a queue, however short it is.",
            "s",
            Query(OLDEST_MESSAGE, "age"),
            thresholds=rising(30, 300),
        ),
        number(
            "Wait, p95",
            "From when a task is due to its start.",
            "s",
            Query(quantile(0.95, "celery_task_queue_wait_seconds", _TASK), "p95"),
            thresholds=rising(5, 30),
            no_value="No tasks",
        ),
        number(
            "Failed for good",
            "Of the tasks that ended.",
            "percentunit",
            Query(
                f"({or_nought(rate_by('celery_task_failed_total', _TASK))}) "
                f"/ (({rate_by('celery_task_started_total', _TASK)}) > 0)",
                "failed",
            ),
            thresholds=rising(0.005, 0.05),
            no_value="No tasks",
            decimals=1,
        ),
        number(
            "Given up",
            "Dead letters, in the time that is shown.",
            "none",
            Query(or_nought(f"sum(increase(tasks_dead_total{{{_TASK}}}[$__range]))"), "dead"),
            thresholds=rising(1, 10),
            decimals=0,
        ),
    ],
)

_FLOW = Row(
    "Flow",
    [
        lines(
            "Messages waiting",
            "By queue.",
            "none",
            Query(f"sum by (queue) (celery_queue_length{{{_JOB}}})", "{{queue}}"),
        ),
        lines(
            "Oldest message",
            "By queue.",
            "s",
            Query(f"max by (queue) (celery_queue_oldest_message_age_seconds{{{_JOB}}})", "{{queue}}"),
        ),
        lines(
            "Wait, p95",
            "By queue; a point is one task, and leads to its trace.",
            "s",
            Query(quantile(0.95, "celery_task_queue_wait_seconds", _TASK, "queue"), "{{queue}}", has_exemplars=True),
        ),
        lines(
            "Begun",
            "Attempts a second, by task.",
            "ops",
            Query(rate_by("celery_task_started_total", _TASK, "task"), "{{task}}"),
            is_stacked=True,
            series_link=_SERIES_TO_TASK,
        ),
        lines(
            "How far they are",
            "What comes and what goes: sent, taken, begun, ended well, failed, tried again, called off, given back.",
            "ops",
            *(
                Query(or_nought(rate_by(f"celery_task_{state}_total", _TASK)), state)
                for state in ("sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected")
            ),
        ),
        lines(
            "Running",
            "By task. As many as the worker has processes means that it's busy.",
            "none",
            Query(f"sum by (task) (celery_tasks_active{{{_TASK}}})", "{{task}}"),
            is_stacked=True,
        ),
    ],
)

_ENDS = Row(
    "How long and how they end",
    [
        lines(
            "Runtime, p95",
            "By task; a point is one task, and leads to its trace.",
            "s",
            Query(quantile(0.95, "celery_task_runtime_seconds", _TASK, "task"), "{{task}}", has_exemplars=True),
            series_link=_SERIES_TO_TASK,
            size=(12, 9),
        ),
        heat(
            "How runtimes lie",
            "How many attempts took how long.",
            "s",
            f"sum by (le) (rate(celery_task_runtime_seconds_bucket{{{_TASK}}}{RATE}))",
        ),
        rows(
            "Failures",
            "Tasks that failed for good, by exception, in the time that is shown.",
            "none",
            Query(
                or_nought(f"sum by (task, exception) (increase(celery_task_failed_total{{{_TASK}}}[$__range]))"),
                "{{task}} {{exception}}",
            ),
            series_link=_TO_TASK,
        ),
        rows(
            "Tried again",
            "Attempts that are repeated, by exception, in the time that is shown.",
            "none",
            Query(
                or_nought(f"sum by (task, exception) (increase(celery_task_retried_total{{{_TASK}}}[$__range]))"),
                "{{task}} {{exception}}",
            ),
            series_link=_TO_TASK,
        ),
        lines(
            "What went wrong and was mended",
            "Messages that the broker refused, lost messages sent again, attempts lost with their worker, "
            "duplicates that weren't run, writes that came too late and weren't made.",
            "ops",
            Query(or_nought(rate_by("tasks_publish_failures_total", _TASK)), "not published"),
            Query(or_nought(rate_by("tasks_republished_total", _TASK)), "sent again"),
            Query(or_nought(rate_by("tasks_lost_attempts_total", _TASK)), "attempts lost"),
            Query(or_nought(rate_by("tasks_duplicates_total", _TASK)), "duplicates"),
            Query(rate_by("tasks_fenced_total", _JOB), "too late"),
            size=(24, 8),
        ),
    ],
)

_PURPOSES = Row(
    "Notifications, mails, pictures",
    [
        lines(
            "Notifications",
            "Written, by kind.",
            "ops",
            Query(or_nought(rate_by("notifications_created_total", _JOB, "kind")), "{{kind}}"),
            is_stacked=True,
        ),
        lines(
            "Mails",
            "Taken by the mail server, failed, and left out since they were read or unwanted.",
            "ops",
            Query(or_nought(rate_by("notifications_mails_sent_total", _JOB)), "sent"),
            Query(or_nought(rate_by("notifications_mail_failures_total", _JOB)), "failed"),
            Query(or_nought(rate_by("notifications_mail_left_out_total", _JOB)), "left out"),
        ),
        lines(
            "Pictures",
            "How they came through their pipeline, and what was refused.",
            "ops",
            Query(rate_by("images_pictures_total", _JOB, "outcome"), "{{outcome}}"),
            Query(rate_by("images_refusals_total", _JOB), "all refusals"),
        ),
    ],
)

BOARD = Board(
    uid="glasshouse-celery",
    title="Tasks",
    description="Whether tasks flow: queues, waits, runtimes, ends, and what went wrong on the way.",
    family="tasks",
    variables=[values_of("task", "Task", 'label_values(celery_task_sent_total{job="$job"}, task)')],
    rows=[_NOW, _FLOW, _ENDS, _PURPOSES],
)
