"""Celery: a worker with one process, and a publisher, for each variant. A gate holds the worker while they publish."""

import json
import time
from typing import Any

import redis
from environment import Environment, pause, processor_seconds
from evidence import lines_with, spans_of, total_of
from samples import Evidence, Sample
from variants import parts_of

TASKS_A_SECOND = 1_000  # of the turn's length: a worker has that many to do, and takes less than it
SETTLE_SECONDS = 0.7
_PATIENCE_SECONDS = 120


class Jobs:
    """The worker and the publisher of one variant."""

    def __init__(self, environment: Environment, variant: str, work: str) -> None:
        self.variant, self._work, self._environment = variant, work, environment
        self._redis = redis.Redis.from_url(environment.redis_url(variant), socket_timeout=None, decode_responses=True)
        self._redis.flushdb()
        self._worker = environment.start(
            variant,
            work,
            [
                *(
                    "-m",
                    "celery",
                    "--quiet",
                    "--app",
                    "shop.celery_app",
                    "--skip-checks",
                    "worker",
                    "--pool",
                    "prefork",
                ),
                *("--concurrency", "1", "--loglevel", "WARNING"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ],
        )
        self._publisher = environment.start(variant, work, ["-m", "shop.publisher"], is_watched=False)
        self._answer()  # that it's ready
        self._turns = 0
        self._units = 0

    def turn(self, seconds: float) -> Sample:
        """Publish tasks behind a gate, open it, and wait until they're done."""
        self._turns += 1
        number = max(100, round(seconds * TASKS_A_SECOND))
        gate, mark = f"gate:{self._turns}", f"mark:{self._turns}"
        published = self._ask("publish", number, gate, mark)
        before = processor_seconds(self._worker)
        begun = time.perf_counter()
        self._redis.rpush(gate, "open")
        self._wait_for(mark)
        elapsed = time.perf_counter() - begun
        pause(SETTLE_SECONDS)
        processor = processor_seconds(self._worker) - before
        self._units += number
        return Sample(number / elapsed, processor / number * 1e6, delay_us=published["delay_us"])

    def evidence(self) -> Evidence:
        """Return what the variant told of all turns."""
        parts = parts_of(self.variant, self._work)
        lines = self._environment.lines_of(self.variant, self._work)
        found = Evidence(self._units)
        metrics = ""
        if "telemetry" in parts:
            metrics = self._ask("metrics")
            found.counted = total_of(metrics, "celery_task_succeeded_total", 'task="shop.nothing"')
            if self.variant != "ours_no_line":
                found.lines = lines_with(lines, '"task.run"', '"shop.nothing"')
            if self.variant == "ours_no_files":
                found.counted = None  # the worker's metrics are its own
        if "structlog" in parts:
            found.lines = lines_with(lines, '"task_started"', '"shop.nothing"')
        found.spans = spans_of(self._environment, self.variant, self._work, metrics)
        return found

    def _ask(self, name: str, *arguments: Any) -> Any:
        self._redis.rpush("publisher:commands", json.dumps([name, *arguments]))
        return self._answer()

    def _answer(self) -> Any:
        return json.loads(self._wait_for("publisher:answers"))

    def _wait_for(self, key: str) -> str:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        processes = (self._worker, self._publisher)
        while time.monotonic() < deadline and all(process.is_running for process in processes):
            if (found := self._redis.blpop([key], timeout=1)) is not None:
                return str(found[1])
        said = "\n".join(line for process in processes for line in process.last_lines)
        raise SystemExit(f"{self.variant} gave no answer within {_PATIENCE_SECONDS} s.\n{said}")
