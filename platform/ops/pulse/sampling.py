"""Samples of the platform's metrics, an hour of them in Redis. Beat takes them, since there is one of it."""

import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
import redis
from prometheus_client import Metric

from telemetry import conf
from telemetry.faults import fails_open
from telemetry.metrics import exposed_registry
from telemetry.tracing.work import unobserved

EVERY_SECONDS = 15.0
KEPT_SECONDS = 3_600
MOST_SAMPLES = int(KEPT_SECONDS / EVERY_SECONDS) + 5  # a minute more, for the first rates
KEY = "pulse:samples"
_NOBODYS = re.compile(r"/healthz/.*|/metrics")  # probes and scrapes are nobody's requests
_FAMILIES = {
    *(
        "http_server_request_duration_seconds",
        "celery_task_queue_wait_seconds",
        "celery_queue_oldest_message_age_seconds",
    ),
    *("celery_task_succeeded", "celery_task_failed", "celery_queue_length", "celery_workers", "tasks_dead"),
    *("audit_events", "audit_write_failures", "websocket_server_active_connections"),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """What was counted up to a moment: totals, but for what is open, waits or works now."""

    at: float
    requests: float = 0.0
    errors: float = 0.0
    durations: dict[str, float] = field(default_factory=dict)  # a histogram's buckets, by their bound
    tasks: float = 0.0
    waits: dict[str, float] = field(default_factory=dict)
    dead: float = 0.0
    events: float = 0.0
    undone: float = 0.0
    sockets: float = 0.0
    waiting: float = 0.0
    oldest_seconds: float = 0.0
    workers: float = 0.0


def take(at: float) -> Sample:
    """Return what all processes of this machine have counted by now."""
    return _sample(at, exposed_registry().collect())


def _sample(at: float, families: Iterable[Metric]) -> Sample:
    totals: dict[str, float] = defaultdict(float)
    durations: dict[str, float] = defaultdict(float)
    waits: dict[str, float] = defaultdict(float)
    for family in families:
        if family.name not in _FAMILIES:
            continue
        for line in family.samples:
            if line.value != line.value or _NOBODYS.fullmatch(line.labels.get("http_route", "")):
                continue
            match line.name:
                case "http_server_request_duration_seconds_bucket":
                    durations[line.labels["le"]] += line.value
                case "celery_task_queue_wait_seconds_bucket":
                    waits[line.labels["le"]] += line.value
                case "http_server_request_duration_seconds_count":
                    totals["requests"] += line.value
                    if line.labels["http_response_status_code"].startswith("5"):
                        totals["errors"] += line.value
                case "celery_queue_oldest_message_age_seconds":
                    totals["oldest_seconds"] = max(totals["oldest_seconds"], line.value)
                case name if name in _SUMMED:
                    totals[_SUMMED[name]] += line.value
    return Sample(at, durations=dict(durations), waits=dict(waits), **totals)


_SUMMED = {
    "celery_task_succeeded_total": "tasks",
    "celery_task_failed_total": "tasks",
    "tasks_dead_total": "dead",
    "audit_events_total": "events",
    "audit_write_failures_total": "undone",
    "websocket_server_active_connections": "sockets",
    "celery_queue_length": "waiting",
    "celery_workers": "workers",
}


# --- the hour in Redis -----------------------------------------------------------------------------------------------


def _client() -> Any:
    return redis.Redis.from_url(conf.redis_url(), socket_timeout=1, socket_connect_timeout=1)


def keep(sample: Sample) -> None:
    """Add a sample, and let go of what is older than an hour."""
    with _client() as client:
        pipeline = client.pipeline()
        pipeline.lpush(KEY, orjson.dumps(sample))
        pipeline.ltrim(KEY, 0, MOST_SAMPLES - 1)
        pipeline.expire(KEY, KEPT_SECONDS)
        pipeline.execute()


def kept() -> list[Sample]:
    """Return the samples of the last hour, the oldest first.

    Raises:
        redis.RedisError: the store doesn't answer.
    """
    with _client() as client:
        found: list[bytes] = client.lrange(KEY, 0, -1)
    return [Sample(**orjson.loads(line)) for line in reversed(found)]


# --- the thread that takes them --------------------------------------------------------------------------------------


@fails_open("ops.sample")
def sample_now() -> None:
    """Take a sample and keep it, unseen by spans and figures."""
    with unobserved():
        keep(take(time.time()))


def start_sampling(**kwargs: Any) -> None:
    """Begin to take samples in this process (`beat_init`), for as long as it runs."""
    if conf.redis_url():
        threading.Thread(target=_run, name="pulse", daemon=True).start()


def _run() -> None:
    pause = threading.Event()
    while True:
        sample_now()
        pause.wait(EVERY_SECONDS)
