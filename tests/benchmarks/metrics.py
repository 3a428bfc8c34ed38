"""What counting and a scrape cost, beside prometheus_client: ours over theirs in one process, which shares nothing.

Each kind of process counts the same 5,000 series: histograms, counters and gauges. A scrape's cost is processor time of
the process that answers. Those compared take turns in every round; quoted is the median over the rounds, with half of
the distance between the quartiles.

    python tests/benchmarks/metrics.py --rounds 15
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from time import process_time
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "platform"), str(PROJECT)]

PROCESSES = (1, 8, 32)
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
HISTOGRAMS, COUNTERS, GAUGES = 240, 800, 120  # series: 240 * 17 + 800 + 120 lines
EXEMPLAR = {"trace_id": "0af7651916cd43dd8448eb211c80319c"}
CALLS = 20_000
FEWEST_ROUNDS = 7
GOAL = 3.0  # times one process of theirs, for eight of ours
OPERATIONS = ["inc", "inc, exemplar", "observe", "observe, exemplar"]


class Worker:
    """A process that counts `ours` or `theirs` in a folder, or, without one, for itself."""

    def __init__(self, kind: str, folder: str) -> None:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": folder} if kind == "theirs" and folder else None
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work", kind, "--folder", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.ask("ready")

    def ask(self, what: str) -> Any:
        """Have the process do something, and return its answer."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        """Let the process end."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(20)


def work(kind: str, folder: str) -> None:
    """Be a worker: answer each line of standard input by a line."""
    count, measure, scrape = ours(folder) if kind == "ours" else theirs(folder)
    calls: dict[str, Callable[[], object]] = {
        "inc": lambda: count.inc(),
        "inc, exemplar": lambda: count.inc(1, EXEMPLAR),
        "observe": lambda: measure.observe(0.03),
        "observe, exemplar": lambda: measure.observe(0.03, EXEMPLAR),
    }
    for line in sys.stdin:
        what = line.strip()
        answer: object = None
        if what in ("plain", "openmetrics"):
            begun = process_time()
            size = scrape(what == "openmetrics")
            answer = [process_time() - begun, size]
        elif what in calls:
            answer = timeit.timeit(calls[what], timer=process_time, number=CALLS) / CALLS
        print(json.dumps(answer), flush=True)


def ours(folder: str) -> tuple[Any, Any, Callable[[bool], int]]:
    from django.conf import settings

    settings.configure(TELEMETRY_METRICS_DIR=folder)
    from prometheus_client import generate_latest
    from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

    from telemetry import metrics

    histogram = metrics.histogram("bench_seconds", "Histogram.", ["route"], buckets=BUCKETS)
    counter = metrics.counter("bench_total", "Counter.", ["route"])
    fill(histogram, counter, metrics.gauge("bench_active", "Gauge.", ["route"]))
    return (
        counter.labels("0"),
        histogram.labels("0"),
        lambda is_openmetrics: int(
            (generate_openmetrics if is_openmetrics else generate_latest)(metrics.exposed_registry()).count(b"\n")
        ),
    )


def theirs(folder: str) -> tuple[Any, Any, Callable[[bool], int]]:
    import prometheus_client
    from prometheus_client.multiprocess import MultiProcessCollector
    from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

    alone = prometheus_client.CollectorRegistry()
    prometheus_client.disable_created_metrics()
    histogram = prometheus_client.Histogram("bench_seconds", "Histogram.", ["route"], buckets=BUCKETS, registry=alone)
    counter = prometheus_client.Counter("bench_total", "Counter.", ["route"], registry=alone)
    gauge = prometheus_client.Gauge("bench_active", "Gauge.", ["route"], multiprocess_mode="livesum", registry=alone)
    fill(histogram, counter, gauge)

    def scrape(is_openmetrics: bool) -> int:
        registry = alone
        if folder:
            registry = prometheus_client.CollectorRegistry()
            MultiProcessCollector(registry, path=folder)
        generate: Any = generate_openmetrics if is_openmetrics else prometheus_client.generate_latest
        return int(generate(registry).count(b"\n"))

    return counter.labels("0"), histogram.labels("0"), scrape


def fill(histogram: Any, counter: Any, gauge: Any) -> None:
    """Make the series, each with a value, and every histogram with an exemplar."""
    for number in range(HISTOGRAMS):
        histogram.labels(f"{number}").observe(0.03 * (number % 50), EXEMPLAR)
    for number in range(COUNTERS):
        counter.labels(f"{number}").inc(number)
    for number in range(GAUGES):
        gauge.labels(f"{number}").set(number)


def measure_scrapes(rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round, by what was scraped."""
    seconds: dict[str, list[float]] = {}
    with ExitStack() as stack:
        readers: dict[str, tuple[Worker, str]] = {}
        alone = Worker("theirs", "")
        stack.callback(alone.stop)
        readers["theirs, alone"] = (alone, "plain")
        readers["theirs, alone, OpenMetrics"] = (alone, "openmetrics")
        for kind in ("ours", "theirs"):
            for count in PROCESSES:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="glasshouse-bench-"))
                workers = [Worker(kind, folder) for _ in range(count)]
                for worker in workers:
                    stack.callback(worker.stop)
                readers[f"{kind}, {count}"] = (workers[0], "plain")
                readers[f"{kind}, {count}, OpenMetrics"] = (workers[0], "openmetrics")
        for number in range(rounds + 2):  # the first two warm up
            for name, (worker, form) in readers.items():
                taken, lines = worker.ask(form)
                assert lines >= HISTOGRAMS * 17 + COUNTERS + GAUGES, (name, lines)
                if number > 1:
                    seconds.setdefault(name, []).append(taken)
            print(f"round {number} of {rounds + 1}", file=sys.stderr)
    return seconds


def measure_calls(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of one call in each round, by operation and kind of process."""
    seconds: dict[str, dict[str, list[float]]] = {one: {} for one in OPERATIONS}
    with ExitStack() as stack:
        workers = {}
        for name, kind in (("ours", "ours"), ("theirs, alone", "theirs"), ("theirs", "theirs")):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="glasshouse-bench-"))
            workers[name] = Worker(kind, "" if "alone" in name else folder)
            stack.callback(workers[name].stop)
        for number in range(rounds + 1):
            for operation in OPERATIONS:
                for name, worker in workers.items():
                    taken = worker.ask(operation)
                    if number:
                        seconds[operation].setdefault(name, []).append(taken)
    return seconds


def shown(values: list[float], unit: float) -> str:
    """Return the median and half of the distance between the quartiles."""
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return f"{statistics.median(values) / unit:.2f} ±{(third - first) / 2 / unit:.2f}"


def over(values: list[float], base: list[float]) -> float:
    """Return the median over the rounds of one over the other."""
    return statistics.median(mine / other for mine, other in zip(values, base, strict=True))


def scrape_table(seconds: dict[str, list[float]]) -> str:
    """Return the scrapes as a Markdown table."""
    base = seconds["theirs, alone"]
    lines = ["| scrape of 5,000 series | ms of CPU | over theirs, alone |", "|---|---|---|"]
    for name, values in seconds.items():
        ratio = over(values, base)
        to_reach = f"; to reach {GOAL:.0f}: {'reached' if ratio <= GOAL else 'missed'}" if name == "ours, 8" else ""
        lines.append(f"| {name} | {shown(values, 1e-3)} | {ratio:.2f}{to_reach} |")
    return "\n".join(lines)


def call_table(seconds: dict[str, dict[str, list[float]]]) -> str:
    """Return the calls as a Markdown table."""
    kinds = list(next(iter(seconds.values())))
    lines = ["| µs of one call | " + " | ".join(kinds) + " | ours over theirs |", "|---" * (len(kinds) + 2) + "|"]
    for operation, found in seconds.items():
        cells = " | ".join(shown(found[kind], 1e-6) for kind in kinds)
        lines.append(f"| {operation} | {cells} | {over(found['ours'], found['theirs']):.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="15 by default; figures to quote need 7 at least")
    parser.add_argument("--work", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.folder)
        return
    print(
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}; Python {platform.python_version()}, "
        f"prometheus_client {version('prometheus-client')}. Medians of {options.rounds} rounds.\n"
    )
    print(scrape_table(measure_scrapes(options.rounds)), end="\n\n")
    print(call_table(measure_calls(options.rounds)))
    if options.rounds < FEWEST_ROUNDS:
        print(f"\nToo few rounds to quote: take {FEWEST_ROUNDS} at least.")


if __name__ == "__main__":
    main()
