"""What is counted of tasks, and what keeps each label bounded.

How tasks end is counted by the worker's parent alone: it sees every end exactly once, a killed child's too.
"""

import sys
from functools import cache
from typing import Any

from celery.utils.serialization import UnpickleableExceptionWrapper

from telemetry.metrics import TASK_BUCKETS, counter, gauge, histogram

OTHER = "_OTHER"
_MOST_QUEUES = 100

SENT = counter("celery_task_sent_total", "Tasks published.", ["task", "queue"])
RECEIVED = counter("celery_task_received_total", "Messages that a worker took.", ["task"])
STARTED = counter("celery_task_started_total", "Task attempts begun.", ["task"])
SUCCEEDED = counter("celery_task_succeeded_total", "Task attempts that ended well.", ["task"])
FAILED = counter("celery_task_failed_total", "Tasks that failed for good.", ["task", "exception"])
RETRIED = counter("celery_task_retried_total", "Task attempts that will be repeated.", ["task", "exception"])
REJECTED = counter("celery_task_rejected_total", "Messages given back to the broker, or refused.", ["task"])
REVOKED = counter("celery_task_revoked_total", "Tasks called off: revoked, expired or terminated.", ["task", "reason"])
ACTIVE = gauge("celery_tasks_active", "Tasks now running.", ["task"])
RUNTIME = histogram("celery_task_runtime_seconds", "How long attempts ran.", ["task"], buckets=TASK_BUCKETS)
WAIT = histogram(
    "celery_task_queue_wait_seconds",
    "From publish, or its ETA, to the start.",
    ["task", "queue"],
    buckets=TASK_BUCKETS,
)
WORKERS = gauge("celery_workers", "Workers that take tasks.")

# Children of labels cost ten times their increments. All names of these come from the application's registry.
received = cache(RECEIVED.labels)
started = cache(STARTED.labels)
succeeded = cache(SUCCEEDED.labels)
active = cache(ACTIVE.labels)
runtime = cache(RUNTIME.labels)
_by_task_and_queue: dict[tuple[Any, str, str], Any] = {}


def sent(app: Any, task: str, queue: str) -> Any:
    """Return the count of what was published."""
    return _by_task_and_queue.get((SENT, task, queue)) or _child(SENT, app, task, queue)


def wait(app: Any, task: str, queue: str) -> Any:
    """Return the histogram of how long messages waited."""
    return _by_task_and_queue.get((WAIT, task, queue)) or _child(WAIT, app, task, queue)


def _child(family: Any, app: Any, task: str, queue: str) -> Any:
    """The child for what `app` knows, else for `_OTHER`: anybody may publish under any name, and to any queue."""
    queues = app.amqp.queues
    is_known = task in app.tasks, queue in queues and len(queues) <= _MOST_QUEUES
    child = family.labels(task if is_known[0] else OTHER, queue if is_known[1] else OTHER)
    if all(is_known):
        _by_task_and_queue[family, task, queue] = child
    return child


def exception_label(error: BaseException) -> str:
    """Return the name of a class that some module defines; those made at run time would be without number."""
    kind = type(error)
    module, name = kind.__module__, kind.__qualname__
    if isinstance(error, UnpickleableExceptionWrapper):  # it stands in for what couldn't come from the child
        module, name = str(error.exc_module), str(error.exc_cls_name)
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return str(found.__name__) if isinstance(found, type) and issubclass(found, BaseException) else OTHER
