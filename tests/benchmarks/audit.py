"""What the ledger costs, beside today's audit libraries, as ratios to bare Django.

Each library runs in a process of its own, on a database of its own, with the same models and the same work. The
processes take turns: in each round every one does each piece of work once, so that a machine that is busy for a
while is busy for all. Quoted is the median over the rounds of (library / bare in the same round).

    python tests/benchmarks/audit.py --rounds 9
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "platform"), str(PROJECT)]

from config.embedded import addresses, postgres
from config.processes import stop_all

WORKER = Path(__file__).parent / "audit_peers" / "worker.py"
LIBRARIES = ("bare", "ledger", "pghistory", "simple_history", "auditlog", "reversion", "easyaudit")
WORK = {
    "save": "read a row, change two fields, save()",
    "create": "create()",
    "delete": "delete() with three cascaded rows",
    "update": "update() of 5,000 rows",
    "raw": "raw SQL update of one row",
}


class Worker:
    """One library's process; it answers each piece of work with the seconds a unit took."""

    def __init__(self, library: str, url: str) -> None:
        self.library = library
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), library, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ask("setup")

    def ask(self, work: str) -> float:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(work + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.library} ended while it did {work}.")
        return float(json.loads(line))

    def stop(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(10)


def measure(libraries: list[str], rounds: int, works: list[str]) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of each library's each work in each round."""
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
        local_dir = Path(folder)
        server = postgres.start(local_dir, is_durable=True)
        workers: list[Worker] = []
        try:
            with postgres.connect(local_dir) as superuser:
                for library in libraries:
                    superuser.execute(f"CREATE DATABASE bench_{library} OWNER {addresses.OWNER_ROLE}")
            for library in libraries:
                url = addresses.database_url(local_dir, addresses.OWNER_ROLE)
                workers.append(Worker(library, url.rpartition("/")[0] + f"/bench_{library}"))
            seconds: dict[str, dict[str, list[float]]] = {w: {one: [] for one in libraries} for w in works}
            for number in range(rounds + 1):
                for work in works:
                    # Another begins each time, so that none always runs after the heaviest.
                    shift = number % len(workers)
                    for worker in workers[shift:] + workers[:shift]:
                        taken = worker.ask(work)
                        if number:  # the first round warms up
                            seconds[work][worker.library].append(taken)
                print(f"round {number} of {rounds}", file=sys.stderr)
            return seconds
        finally:
            for worker in workers:
                worker.stop()
            stop_all([server])


def table(seconds: dict[str, dict[str, list[float]]], libraries: list[str]) -> str:
    """Return the ratios to bare as a Markdown table; bare's own column is its median latency."""
    lines = [
        "| work | bare | " + " | ".join(one for one in libraries if one != "bare") + " |",
        "|---" * (len(libraries) + 1) + "|",
    ]
    for work, by_library in seconds.items():
        bare = by_library["bare"]
        cells = [f"{statistics.median(bare) * 1e6:,.0f} µs"]
        for one in libraries:
            if one != "bare":
                ratio = statistics.median(mine / base for mine, base in zip(by_library[one], bare, strict=True))
                cells.append(f"{ratio:.2f}")
        lines.append(f"| {WORK[work]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--work", nargs="+", choices=list(WORK), default=list(WORK))
    options = parser.parse_args()
    libraries = ["bare", *[one for one in options.libraries if one != "bare"]]
    seconds = measure(libraries, options.rounds, options.work)
    print(f"Python {platform.python_version()}, {platform.machine()}, medians of {options.rounds} rounds")
    print(table(seconds, libraries))


if __name__ == "__main__":
    main()
