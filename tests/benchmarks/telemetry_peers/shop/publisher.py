"""The process that publishes tasks, told by a list in Redis what to do: `python -m shop.publisher`."""

import gc
import json
import statistics
import time

import redis
from django.conf import settings

from shop.celery_app import gate, mark, nothing

COMMANDS, ANSWERS = "publisher:commands", "publisher:answers"


def publish(number: int, gate_key: str, mark_key: str) -> dict[str, float]:
    """Publish so many tasks between a gate and a mark; return what one `.delay()` took, in microseconds."""
    clock = time.perf_counter_ns
    gate.delay(gate_key)
    gc.collect()
    taken = []
    for _ in range(number):
        begun = clock()
        nothing.delay()
        taken.append(clock() - begun)
    mark.delay(mark_key)
    return {"delay_us": statistics.median(taken) / 1e3, "mean_delay_us": statistics.fmean(taken) / 1e3}


def metrics() -> str:
    """Return all that telemetry's processes have counted, as text for Prometheus."""
    from prometheus_client import generate_latest

    from telemetry.metrics import exposed_registry

    return generate_latest(exposed_registry()).decode()


def main() -> None:
    commands = redis.Redis.from_url(settings.BENCH["redis"], socket_timeout=None, decode_responses=True)
    commands.rpush(ANSWERS, json.dumps("ready"))
    while True:
        _, text = commands.blpop([COMMANDS])
        name, *arguments = json.loads(text)
        commands.rpush(ANSWERS, json.dumps({"publish": publish, "metrics": metrics}[name](*arguments)))


if __name__ == "__main__":
    main()
