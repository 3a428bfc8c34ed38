"""Plain Celery: the same tasks on the same Redis, without a row and without Django."""

import json
import os

import redis
from celery import Celery

BENCH = json.loads(os.environ["BENCH"])
app = Celery("plain", broker=BENCH["broker"])
app.conf.update(
    task_default_queue="bench",
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
client = redis.Redis.from_url(BENCH["redis"], socket_timeout=None)
from work import define

nothing, stamp, gate, mark = define(app.task, client)
