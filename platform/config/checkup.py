"""What `manage healthcheck` asks beyond readiness: whether somebody works, what waits, and how much room is left."""

import shutil
from datetime import timedelta
from pathlib import Path

from celery import current_app
from django.conf import settings
from django.db.models import Min
from django.db.models.functions import Coalesce
from django.utils import timezone

from config.health import CHECKS, DegradedError, NotReadyError, Question, with_connection
from tasks.models import State, TaskRun
from tasks.schedule import QUEUES

_REPLY_SECONDS = 1.0  # workers answer within milliseconds, and one can't know how many there are
_LATE = timedelta(minutes=1)
_STUCK = timedelta(minutes=15)


def _workers() -> str:
    with current_app.connection_for_write(connect_timeout=1) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0.1)
        replies = current_app.control.broadcast("active_queues", reply=True, timeout=_REPLY_SECONDS, connection=broker)
    queues_of = {name: queues for reply in replies or () for name, queues in reply.items()}
    if not queues_of:
        raise NotReadyError("no worker answers; start one: celery --app config.celery worker")
    served = {queue["name"] for queues in queues_of.values() for queue in queues}
    if idle := sorted(set(QUEUES) - served):
        raise DegradedError(f"no worker takes from the queue {', '.join(idle)}")
    return f"{len(queues_of)} answer{'s' if len(queues_of) == 1 else ''}, for all queues"


@with_connection
def _tasks() -> str:
    now = timezone.now()
    waiting = TaskRun.objects.filter(outcome="", state__in=(State.QUEUED, State.RETRYING))
    due = waiting.annotate(due_at=Coalesce("eta", "enqueued_at")).filter(due_at__lte=now)
    oldest = due.aggregate(oldest=Min("due_at"))["oldest"]
    if oldest is None:
        return "none waits"
    waited = now - oldest
    told = f"the oldest that is due has waited {waited.total_seconds():,.0f} s"
    if waited >= _STUCK:
        raise NotReadyError(f"{told}; look at the workers, and at /tasks/")
    if waited >= _LATE:
        raise DegradedError(f"{told}; there may be too few workers")
    return told


def _disk() -> str:
    limit = settings.HEALTH_FREE_DISK_BYTES
    found = []
    for name, folder in (("LOCAL_DIR", settings.LOCAL_DIR), ("MEDIA_ROOT", settings.MEDIA_ROOT)):
        free = shutil.disk_usage(_existing(Path(folder))).free
        told = f"{free / 1e9:,.1f} GB free for {name}"
        if free < limit / 10:
            raise NotReadyError(f"only {told}; make room: manage cleanup")
        if free < limit:
            raise DegradedError(f"only {told}; manage cleanup --dry-run says what could go")
        found.append(told)
    return ", ".join(found)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


ALL_CHECKS: dict[str, Question] = {**CHECKS, "workers": _workers, "tasks": _tasks, "disk": _disk}
