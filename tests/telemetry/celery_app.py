"""A Celery application of its own, whose real workers and beat are watched: tasks that end in every way."""

import os
import signal
import threading
from typing import Any

from celery import Celery, Task, group
from celery.exceptions import Ignore, Reject
from django.conf import settings

from config.redis_urls import BROKER, CACHE, for_kombu
from telemetry.celery import connect
from telemetry.context import current

QUEUE = "watched"
app = Celery("watched", fixups=[], set_as_current=False)
app.conf.update(
    broker_url=for_kombu(settings.REDIS_URL, BROKER),
    result_backend=for_kombu(settings.REDIS_URL, CACHE),
    broker_transport_options={"socket_connect_timeout": 1, "socket_timeout": 5, "visibility_timeout": 600},
    broker_connection_retry_on_startup=True,
    task_default_queue=QUEUE,
    task_queues={QUEUE: {}, "watched.slow": {}},
    task_create_missing_queues=False,
    task_acks_late=True,
    task_reject_on_worker_lost=False,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    beat_schedule={"every-moment": {"task": "watched.nothing", "schedule": 0.3, "options": {"queue": "watched.slow"}}},
)
connect(app)


class OddError(Exception):
    """A class that a module defines."""


@app.task(name="watched.nothing")
def nothing() -> None:
    """Do nothing."""


@app.task(name="watched.add", ignore_result=False)
def add(a: int, b: int) -> int:
    return a + b


@app.task(name="watched.total", ignore_result=False)
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(name="watched.fail")
def fail(kind: str = "odd") -> None:
    if kind == "odd":
        raise OddError("password=hunter22")
    raise type(kind, (Exception,), {})("made at run time")


@app.task(name="watched.fail_twice", bind=True, autoretry_for=(OddError,), retry_backoff=False, default_retry_delay=0)
def fail_twice(self: Any) -> None:
    if self.request.retries < 2:
        raise OddError(f"attempt {self.request.retries + 1}")


@app.task(name="watched.ask")
def ask() -> None:
    """Publish another task."""
    nothing.delay()


@app.task(name="watched.ask_then_hang")
def ask_then_hang(seconds: float = 60) -> None:
    nothing.delay()
    threading.Event().wait(seconds)


@app.task(name="watched.ask_eagerly")
def ask_eagerly() -> None:
    """Run another task at once, in this process, and publish one after it."""
    ask.apply()
    nothing.delay()


@app.task(name="watched.die")
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="watched.die_once", reject_on_worker_lost=True)
def die_once(path: str) -> None:
    """End by force, the first time that it runs."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


class DyingTask(Task):  # type: ignore[misc]
    """Its process dies once the child has told of the failure, and before the parent has heard of it."""

    def after_return(self, *args: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="watched.fail_and_die", base=DyingTask)
def fail_and_die() -> None:
    raise OddError


@app.task(name="watched.refuse")
def refuse(how: str) -> None:
    raise Ignore if how == "ignore" else Reject("not mine", requeue=False)


@app.task(name="watched.fan_out")
def fan_out(count: int) -> None:
    group(nothing.si() for _ in range(count)).apply_async()


@app.task(name="watched.tell_context", ignore_result=False)
def tell_context() -> dict[str, str]:
    context = current()
    return {"request_id": context.request_id, "trace_id": context.trace_id, "actor": context.actor.id}
