"""The Celery application: a task that does nothing, and two that let the driver hold the worker and hear of its end."""

import django
import redis
from celery import Celery
from django.conf import settings

from shop import peers

peers.instrument()
django.setup()

# kombu's scheme for a unix socket.
_path, _, _query = settings.BENCH["redis"].removeprefix("unix://").partition("?")
_database = _query.removeprefix("db=")
app = Celery("shop", broker=f"redis+socket://{_path}?virtual_host={_database}")
app.conf.update(
    task_default_queue="bench",
    task_ignore_result=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    # What celery-exporter, the usual stack's metrics of tasks, lives on.
    worker_send_task_events="prometheus" in settings.PARTS,
    task_send_sent_event="prometheus" in settings.PARTS,
)
if "telemetry" in settings.PARTS:
    from telemetry.celery import connect

    connect(app)
if "structlog" in settings.PARTS:
    import logging.config

    from celery.signals import setup_logging
    from django_structlog.celery.steps import DjangoStructLogInitStep

    app.steps["worker"].add(DjangoStructLogInitStep)
    setup_logging.connect(lambda **kwargs: logging.config.dictConfig(settings.LOGGING), weak=False)


@app.task(name="shop.nothing")
def nothing() -> None:
    """Do nothing."""


@app.task(name="shop.gate")
def gate(key: str) -> None:
    """Hold the worker until the driver opens the gate."""
    redis.Redis.from_url(settings.BENCH["redis"], socket_timeout=None).blpop([key], timeout=120)


@app.task(name="shop.mark")
def mark(key: str) -> None:
    """Tell the driver that all tasks before this one are done."""
    redis.Redis.from_url(settings.BENCH["redis"]).rpush(key, "done")
