"""Celery: publish, queue wait, run, retry and end of each task, in the trace of what caused it.

By Celery's signals in the processes that publish and run, and by the requests of the worker's parent, who alone sees
how a task ends whose process is gone.
"""

import logging
from typing import Any

from celery import signals
from celery.app.task import Task

from telemetry import logs
from telemetry.celery import queues, runs, ticks
from telemetry.celery.carriers import CONTEXT_HEADER, carried_headers
from telemetry.faults import fails_open
from telemetry.logs import get_logger
from telemetry.tracing import provider

__all__ = ["CONTEXT_HEADER", "carried_headers", "connect"]

log = get_logger("celery")
_LONGEST_FLUSH_MILLISECONDS = 2_000


def connect(app: Any) -> None:
    """Watch the application from now on; once, before anything is published."""
    app.amqp_cls = "telemetry.celery.publishing:WatchedAMQP"
    Task.Request = "telemetry.celery.requests:WatchedRequest"
    for signal, receiver in (
        (signals.setup_logging, _set_up_logging),
        (signals.task_prerun, runs.begin_run),
        (signals.task_postrun, runs.end_run),
        (signals.task_retry, runs.note_retry),
        (signals.task_failure, runs.note_failure),
        (signals.beat_init, ticks.watch_beat),
        (signals.beat_init, queues.start_poller),
        (signals.worker_ready, queues.count_worker),
        (signals.worker_ready, queues.start_poller),
        (signals.worker_shutdown, queues.uncount_worker),
        (signals.worker_shutdown, queues.stop_poller),
        (signals.worker_process_shutdown, _flush),
        (signals.worker_shutdown, _flush),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"telemetry.{receiver.__name__}")


def _set_up_logging(**kwargs: Any) -> None:
    logs.configure()  # and Celery leaves logging alone
    for name in ("celery.worker.strategy", "celery.app.trace"):  # the canonical line tells of each task already
        logging.getLogger(name).setLevel(logging.WARNING)
    from celery.apps import worker  # only where a worker or beat runs

    worker.safe_say = _say


def _say(text: str, file: Any = None) -> None:
    log.info("celery.worker_said", text=text)  # of its shutdown, which it would print


@fails_open("celery.flush")
def _flush(**kwargs: Any) -> None:
    # A child that has run its number of tasks leaves by a hard exit, which runs nothing else.
    provider.pipeline().force_flush(_LONGEST_FLUSH_MILLISECONDS)
