"""What a task costs whose truth is a row, beside plain Celery.

Both have a worker of the same options on the same Redis and take turns in one run, plain Celery twice: what its second
worker differs by is noise. Quoted are medians over the rounds of (ours / plain in the same round): tasks a second of a
full queue, and the wait from `.delay()` to the task's first line when nothing else is to be done. Ours is the platform
as it is: rows, leases, the ledger, spans, metrics and log lines. The processor's time is that of a full queue's tasks,
of worker, Redis and PostgreSQL together: it hardly hangs on what else the machine does.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import redis as redis_py

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
sys.path[:0] = [str(PROJECT / "platform"), str(PROJECT)]

from config.embedded import addresses, postgres, redis
from config.processes import Process, Program, run_to_end, stop_all

VARIANTS = {"plain": "plain Celery", "again": "plain Celery, again", "ours": "ours"}
THROUGHPUT_TO_REACH, WAIT_TO_REACH = 0.6, 1.5
_PATIENCE_SECONDS = 60


class Worker:
    """A variant's worker and its publisher."""

    def __init__(
        self, variant: str, number: int, local_dir: Path, started: list[Process], options: argparse.Namespace
    ) -> None:
        self.processes, self._turn = options.processes, 0
        module = "plain" if variant in ("plain", "again") else "ours"
        url = addresses.redis_url(local_dir)
        path = url.removeprefix("unix://").partition("?")[0]
        bench = {
            "redis": f"unix://{path}?db={8 + number}",
            "broker": f"redis+socket://{path}?virtual_host={5 + number}",
        }
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": f"{HERE / 'task_peers'}:{PROJECT / 'platform'}:{PROJECT}",
            "PYTHONWARNINGS": "ignore",
            "BENCH": json.dumps(bench),
        }
        if module == "ours":
            environment |= {
                "DJANGO_SETTINGS_MODULE": "config.settings.development",
                "LOCAL_DIR": str(local_dir),
                "LOG_FORMAT": "json",
                "TELEMETRY_SAMPLE_RATIO": str(options.sampled),
            }
        self._redis = redis_py.Redis.from_url(bench["redis"], socket_timeout=None, decode_responses=True)
        queues = "bench" if module == "plain" else "default"
        arguments = [
            *("-m", "celery", "--quiet", "--app", module, "--skip-checks", "worker", "--queues", queues),
            *("--concurrency", str(options.processes), "--loglevel", "WARNING"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
        self._sink = local_dir / f"{variant}.log"  # a pipe's reader would be this process
        redirected = ["/bin/sh", "-c", 'exec "$@" >>"$0" 2>&1', str(self._sink), sys.executable, *arguments]
        worker = {**environment, "GLASSHOUSE_PROCESS": "worker"}
        started.append(Process(Program(f"worker {variant}", redirected, local_dir, worker)))
        publisher = [sys.executable, str(HERE / "task_peers" / "publisher.py"), module]
        started.append(Process(Program(f"publisher {variant}", publisher, local_dir, environment)))
        self._servers, self._mine = started[:2], started[-2:]
        self._answer()

    def throughput(self, number: int) -> dict[str, float]:
        """Return the tasks a second of a full queue, and the microseconds of one `.delay()` and of the processor."""
        self._turn += 1
        gate, mark = f"gate:{self._turn}", f"mark:{self._turn}"
        published = self._ask("fill", number, gate, mark, self.processes)
        used, begun = self._processor_seconds(), time.perf_counter()
        self._redis.rpush(gate, *["open"] * self.processes)
        self._wait_for(mark)
        rate = number / (time.perf_counter() - begun)
        used = self._processor_seconds() - used
        return {"rate": rate, "delay_us": published["delay_us"], "processor_us": used / number * 1e6}

    def waits(self, number: int) -> list[float]:
        """Return the milliseconds from `.delay()` to the start, of so many tasks in turn."""
        found: list[float] = self._ask("stamp", number)
        return found

    def _processor_seconds(self) -> float:
        """Return what worker and servers have used; PostgreSQL serves one of the workers at a time."""
        roots = [psutil.Process(process.pid) for process in (*self._servers, self._mine[0])]
        times = [one.cpu_times() for root in roots for one in (root, *root.children(recursive=True))]
        return sum(one.user + one.system for one in times)

    def _ask(self, *command: Any) -> Any:
        self._redis.rpush("commands", json.dumps(command))
        return self._answer()

    def _answer(self) -> Any:
        return json.loads(self._wait_for("answers"))

    def _wait_for(self, key: str) -> str:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline and all(process.is_running for process in self._mine):
            if (found := self._redis.blpop([key], timeout=1)) is not None:
                return str(found[1])
        said = "\n".join([*self._mine[1].last_lines, *self._sink.read_text().splitlines()[-20:]])
        raise SystemExit(f"No answer within {_PATIENCE_SECONDS} s.\n{said}")


def measure(options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Return each variant's figures, round by round."""
    taken: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
        local_dir, started = Path(folder), []
        try:
            started.append(postgres.start(local_dir, is_durable=not options.volatile))
            started.append(redis.start(local_dir, is_durable=False))
            environment = {**os.environ, "LOCAL_DIR": folder, "DJANGO_SETTINGS_MODULE": "config.settings.development"}
            migrate = [sys.executable, str(PROJECT / "platform" / "manage.py"), "migrate", "--verbosity", "0"]
            done = run_to_end(Program("migrate", migrate, PROJECT, environment))
            if done.exit_code:
                raise SystemExit("\n".join(done.last_lines))
            workers = {
                variant: Worker(variant, number, local_dir, started, options) for number, variant in enumerate(VARIANTS)
            }
            for worker in workers.values():
                worker.throughput(200)
            for turn in range(options.rounds):
                order = list(VARIANTS)[turn % len(VARIANTS) :] + list(VARIANTS)[: turn % len(VARIANTS)]
                for variant in order:
                    found = workers[variant].throughput(options.tasks)
                    found["wait_ms"] = statistics.median(workers[variant].waits(options.waits))
                    taken[variant].append(found)
        finally:
            stop_all(started)
    return taken


def table(taken: dict[str, list[dict[str, float]]]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| | tasks/s | over plain | wait p50 | over plain | one `.delay()` | processor a task |",
        "|---|---|---|---|---|---|---|",
    ]
    for variant, rounds in taken.items():
        cells = [VARIANTS[variant]]
        for name, unit in (("rate", ""), ("wait_ms", " ms")):
            ratios = [mine[name] / plain[name] for mine, plain in zip(rounds, taken["plain"], strict=True)]
            cells.append(f"{statistics.median(one[name] for one in rounds):,.{0 if not unit else 2}f}{unit}")
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
        cells += [f"{statistics.median(one[name] for one in rounds):,.0f} µs" for name in ("delay_us", "processor_us")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tasks", type=int, default=2_000, help="of a full queue; 2,000 by default")
    parser.add_argument("--waits", type=int, default=200, help="tasks one after the other; 200 by default")
    parser.add_argument("--processes", type=int, default=2, help="of each worker; 2 by default, as `make run` has")
    parser.add_argument("--sampled", type=float, default=1.0, help="share of our traces that are kept; all by default")
    parser.add_argument("--format", choices=["markdown", "json"], default="markdown")
    parser.add_argument("--volatile", action="store_true", help="fsync and synchronous_commit off")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that all that was started goes too
    taken = measure(options)
    if options.format == "json":
        print(json.dumps(taken, indent=1))
        return
    print(f"{os.cpu_count()} cores; medians of {options.rounds} rounds; {options.processes} processes a worker.\n")
    print(table(taken))
    print(
        f"\nTo reach: at least {THROUGHPUT_TO_REACH} of plain Celery's tasks/s, at most {WAIT_TO_REACH} times its wait."
    )


if __name__ == "__main__":
    main()
