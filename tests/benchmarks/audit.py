"""What the ledger costs, beside today's audit libraries, as ratios to bare Django.

Each library runs in a process of its own, on a database of its own, with the same models and the same work. The
processes take turns in small slices, so that a machine that is busy for a while is busy for all. A round's figure is
the median over its operations; quoted is the median over the rounds of (library / bare in the same round), with half
of the distance between the quartiles. `bare, again` is bare Django a second time: what differs there is noise. In
brackets stands what a library doesn't capture at all.

    python tests/benchmarks/audit.py --rounds 9
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "platform"), str(PROJECT)]

import psycopg

from config.embedded import addresses, postgres
from config.processes import stop_all

WORKER = Path(__file__).parent / "audit_peers" / "worker.py"
# Each with its heading and its distribution.
LIBRARIES = {
    "bare": ("bare", "django"),
    "bare_again": ("bare, again", ""),
    "ledger": ("ledger", ""),
    "ledger_telemetry": ("ledger, telemetry", ""),
    "pghistory": ("pghistory", "django-pghistory"),
    "simple_history": ("simple-history", "django-simple-history"),
    "auditlog": ("auditlog", "django-auditlog"),
    "reversion": ("reversion", "django-reversion"),
    "easyaudit": ("easy-audit", "django-easy-audit"),
}
# Each with its words, the operations of a slice, the slices of a round, and the ledger's figure to reach.
WORK = {
    "save": ("read a row, change two fields, `save()`", 40, 5, 1.10),
    "create": ("`create()`", 40, 5, 1.20),
    "delete": ("`delete()` with three cascaded rows", 20, 5, 1.22),
    "update": ("`update()` of 5,000 rows", 1, 5, 2.3),
    "raw": ("raw SQL update of one row", 40, 5, 1.30),
}
# What happens by the clock would hit one library and spare another; the workers vacuum between rounds.
SERVER_SETTINGS = {
    "autovacuum": "off",
    "checkpoint_timeout": "1d",
    "max_wal_size": "16GB",
    "min_wal_size": "16GB",  # what `prepare_log` makes is kept for use
    "shared_buffers": "1GB",
}
FEWEST_ROUNDS = 7
LOG_FILES_PER_ROUND = 40  # of 16 MB
MEASURES = {"latency": "Latency of one operation", "processor": "Processor time of one operation, client and server"}


@dataclass
class Round:
    """What one library took for one piece of work in one round, in seconds."""

    latencies: list[float] = field(default_factory=list)  # of each operation
    processor: list[float] = field(default_factory=list)  # of one operation, a figure for each slice

    def typical(self, measure: str) -> float:
        """Return the round's figure: `latency`, or `processor` time of client and server together."""
        return statistics.median(self.latencies if measure == "latency" else self.processor)


Samples = dict[str, dict[str, list[Round]]]  # by work, library, round


class Worker:
    """One library's process."""

    def __init__(self, library: str, *urls: str) -> None:
        self.library = library
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), library, *urls], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the worker's `Bench`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([method, *arguments]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.library} ended in {method} {arguments}.")
        return json.loads(line)

    def stop(self) -> None:
        """Let the process end."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(20)


def prepare_log(superuser: psycopg.Connection, files: int) -> None:
    """Have the write-ahead log's files made beforehand; else whoever needs a new one writes its 16 MB of zeros."""
    for _ in range(files):
        superuser.execute("SELECT pg_logical_emit_message(false, '', ''), pg_switch_wal()")
    superuser.execute("CHECKPOINT")


@contextmanager
def started(libraries: list[str], *, log_files: int, is_durable: bool) -> Iterator[tuple[list[Worker], str]]:
    """Start a server and a worker for each library; give the workers and the server's version."""
    workers: list[Worker] = []
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
        local_dir = Path(folder)
        with mock.patch.dict(postgres._SETTINGS, SERVER_SETTINGS):
            server = postgres.start(local_dir, is_durable=is_durable)
        try:
            with postgres.connect(local_dir) as superuser:
                server_version = superuser.execute("SHOW server_version").fetchone()
                for library in libraries:
                    superuser.execute(f"CREATE DATABASE bench_{library} OWNER {addresses.OWNER_ROLE}")
            for library in libraries:
                roles = (addresses.SUPERUSER, addresses.OWNER_ROLE, addresses.APPLICATION_ROLE)
                bases = [addresses.database_url(local_dir, role).rpartition("/")[0] for role in roles]
                workers.append(Worker(library, *(f"{base}/bench_{library}" for base in bases)))
                workers[-1].ask("setup")
            with postgres.connect(local_dir) as superuser:
                prepare_log(superuser, log_files)
            yield workers, str(server_version[0] if server_version else "")
        finally:
            for worker in workers:
                worker.stop()
            stop_all([server])


def measure(workers: list[Worker], rounds: int, works: list[str]) -> tuple[Samples, dict[str, Any]]:
    """Return every operation's seconds, and by library and work the events and statements of one operation."""
    samples: Samples = {work: {worker.library: [] for worker in workers} for work in works}
    facts: dict[str, Any] = {worker.library: {"statements": {}, "events": {}} for worker in workers}
    turn = 0
    for number in range(rounds + 1):  # the first warms up
        for work in works:
            _, units, slices, _ = WORK[work]
            taken = {worker.library: Round() for worker in workers}
            for worker in workers:
                worker.ask("begin", work)
                if number == 0:
                    facts[worker.library]["statements"][work] = worker.ask("statements", work)
            for _ in range(slices):
                turn += 1  # another begins each time, so that none always runs after the heaviest
                for worker in workers[turn % len(workers) :] + workers[: turn % len(workers)]:
                    latencies, processor = worker.ask("run", work, units)
                    taken[worker.library].latencies += latencies
                    taken[worker.library].processor.append(processor)
            for worker in workers:
                facts[worker.library]["events"][work] = worker.ask("end", work)
                if number:
                    samples[work][worker.library].append(taken[worker.library])
        print(f"round {number} of {rounds}", file=sys.stderr)
    return samples, facts


def ratios(samples: Samples, work: str, library: str, measure: str) -> list[float]:
    """Return the library's figure over bare's, round by round."""
    pairs = zip(samples[work][library], samples[work]["bare"], strict=True)
    return [mine.typical(measure) / base.typical(measure) for mine, base in pairs]


def spread(values: list[float]) -> float:
    """Return half of the distance between the quartiles."""
    if len(values) < 2:
        return 0.0
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return (third - first) / 2


def machine(server_version: str, libraries: list[str], *, is_durable: bool) -> str:
    """Return in one line what the figures were measured on."""
    model = memory = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory"
    peers = ", ".join(f"{name} {version(name)}" for one in libraries if (name := LIBRARIES[one][1]))
    return (
        f"{os.cpu_count()} cores {model or platform.machine()}{memory}, {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}, psycopg {version('psycopg')}, PostgreSQL {server_version} on a unix "
        f"socket, fsync and synchronous_commit {'on' if is_durable else 'off'}; {peers}"
    )


def table(samples: Samples, facts: dict[str, Any], libraries: list[str], measure: str) -> str:
    """Return the ratios, and below them the statements of one operation, as one Markdown table."""
    others = [one for one in libraries if one != "bare"]
    has_ledger = "ledger" in libraries
    lines = [
        "| over bare Django | bare | "
        + " | ".join(LIBRARIES[one][0] for one in others)
        + " |"
        + (" to reach |" if has_ledger else ""),
        "|---" * (len(libraries) + 1 + has_ledger) + "|",
    ]
    for work in samples:
        words, _, _, to_reach = WORK[work]
        bare = statistics.median(one.typical(measure) for one in samples[work]["bare"])
        cells = [words, f"{bare * 1e6:,.0f} µs"]
        for one in others:
            found = ratios(samples, work, one, measure)
            cell = f"{statistics.median(found):.2f} ±{spread(found):.2f}"
            is_blind = not one.startswith("bare") and facts[one]["events"][work] == 0
            cells.append(f"({cell})" if is_blind else cell)
        if has_ledger:
            is_reached = round(statistics.median(ratios(samples, work, "ledger", measure)), 2) <= to_reach
            cells.append(f"{to_reach:.2f}: {'reached' if is_reached else 'missed'}")
        lines.append("| " + " | ".join(cells) + " |")
    for work in samples:
        counts = [str(facts[one]["statements"][work]) for one in libraries]
        lines.append(f"| statements: {work} | " + " | ".join(counts) + (" | |" if has_ledger else " |"))
    return "\n".join(lines)


def as_json(samples: Samples, facts: dict[str, Any], about: str, rounds: int) -> str:
    """Return all that was measured, in microseconds for each round."""
    works: dict[str, Any] = {}
    for work, by_library in samples.items():
        works[work] = {}
        for one, by_round in by_library.items():
            result = {"events": facts[one]["events"][work], "statements": facts[one]["statements"][work]}
            for measure in MEASURES:
                found = ratios(samples, work, one, measure)
                result[measure] = {
                    "ratio": round(statistics.median(found), 3),
                    "spread": round(spread(found), 3),
                    "rounds_us": [round(taken.typical(measure) * 1e6, 1) for taken in by_round],
                }
            result["mean_latency_us"] = [round(statistics.fmean(taken.latencies) * 1e6, 1) for taken in by_round]
            works[work][one] = result
    return json.dumps({"machine": about, "rounds": rounds, "work": works}, indent=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="9 by default; figures to quote need 7 at least")
    parser.add_argument("--libraries", nargs="+", choices=list(LIBRARIES), default=list(LIBRARIES))
    parser.add_argument("--work", nargs="+", choices=list(WORK), default=list(WORK))
    parser.add_argument("--format", choices=["markdown", "json"], default="markdown")
    parser.add_argument("--measure", choices=list(MEASURES), default="latency", help="JSON has both")
    parser.add_argument("--volatile", action="store_true", help="fsync and synchronous_commit off")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that server and data go as well
    libraries = ["bare", *(one for one in LIBRARIES if one in options.libraries and one != "bare")]
    log_files = LOG_FILES_PER_ROUND * (options.rounds + 1)
    with started(libraries, log_files=log_files, is_durable=not options.volatile) as (workers, server_version):
        samples, facts = measure(workers, options.rounds, options.work)
    about = machine(server_version, libraries, is_durable=not options.volatile)
    if options.format == "json":
        print(as_json(samples, facts, about, options.rounds))
        return
    print(f"{about}.\n\n{MEASURES[options.measure]}, medians of {options.rounds} rounds.\n")
    print(table(samples, facts, libraries, options.measure))
    if options.rounds < FEWEST_ROUNDS:
        print(f"\nToo few rounds to quote: take {FEWEST_ROUNDS} at least.")


if __name__ == "__main__":
    main()
