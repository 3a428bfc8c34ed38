"""Publishes, as a list in Redis says: `python publisher.py plain|ours`."""

import importlib
import json
import os
import statistics
import sys
import threading
import time

import redis

BENCH = json.loads(os.environ["BENCH"])
if sys.argv[1] == "ours":
    import django

    django.setup()
tasks = importlib.import_module(sys.argv[1])


def fill(number: int, gate: str, mark: str, processes: int) -> dict[str, float]:
    """Publish so many tasks behind a gate for each process of the worker; returns what one `.delay()` took."""
    for _ in range(processes):
        tasks.gate.delay(gate)
    taken = []
    for _ in range(number):
        begun = time.perf_counter_ns()
        tasks.nothing.delay()
        taken.append((time.perf_counter_ns() - begun) / 1e3)
    tasks.mark.delay(mark)
    return {"delay_us": statistics.median(taken)}


def stamp(number: int) -> list[float]:
    """Ask for so many tasks, one after the other; returns the milliseconds from `.delay()` to each start."""
    waits = []
    for _ in range(number):
        tasks.stamp.delay(time.time())
        _, wait = client.blpop(["stamps"], timeout=30)
        waits.append(float(wait) * 1e3)
        threading.Event().wait(0.002)  # so that the worker is at rest again
    return waits


client = redis.Redis.from_url(BENCH["redis"], socket_timeout=None, decode_responses=True)
client.rpush("answers", json.dumps("ready"))
while True:
    _, text = client.blpop(["commands"])
    name, *arguments = json.loads(text)
    client.rpush("answers", json.dumps({"fill": fill, "stamp": stamp}[name](*arguments)))
