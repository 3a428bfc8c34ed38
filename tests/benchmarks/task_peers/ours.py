"""The platform's tasks: the same ones, each with its row, attempts, lease, ledger event, spans, metrics and line."""

import json
import os

import redis
from celery import shared_task
from work import define

from config.celery import app

BENCH = json.loads(os.environ["BENCH"])
client = redis.Redis.from_url(BENCH["redis"], socket_timeout=None)
nothing, stamp, gate, mark = define(shared_task, client, is_recorded=False)
__all__ = ["app", "gate", "mark", "nothing", "stamp"]
