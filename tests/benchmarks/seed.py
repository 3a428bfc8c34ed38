"""How long `manage seed_data` takes, with the ledger on: the goal is 100,000 posts in under two minutes.

A PostgreSQL of its own, as durable as that of `manage up`, is migrated and filled; then it's emptied again. What it
starts, it stops.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
# Before this folder, whose audit.py is no package.
sys.path[:0] = [str(PROJECT / "platform"), str(PROJECT)]

from config.embedded import postgres
from config.processes import stop_all

EXAMPLES = """
examples:
  python tests/benchmarks/seed.py
  python tests/benchmarks/seed.py --posts 10000 --format json
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="glasshouse-seed-") as folder:
        local_dir = Path(folder)
        server = postgres.start(local_dir)
        try:
            run(local_dir, "migrate", "--database", "owner", "--verbosity", "0")
            figures = {
                "fill": timed(local_dir, server.pid, "seed_data", "--posts", str(options.posts), "--format", "json"),
                "clear": timed(local_dir, server.pid, "seed_data", "--clear", "--format", "json"),
                "load_of_the_machine": [round(load, 1) for load in os.getloadavg()],
            }
        finally:
            stop_all([server])
    print(json.dumps(figures) if options.format == "json" else as_text(figures, options.posts))


def run(local_dir: Path, *arguments: str) -> str:
    """Run a management command and return what it wrote."""
    environment = {**os.environ, "LOCAL_DIR": str(local_dir), "DJANGO_SETTINGS_MODULE": "config.settings.development"}
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        environment.pop(name, None)
    command = [sys.executable, str(PROJECT / "platform" / "manage.py"), *arguments]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def timed(local_dir: Path, server: int, *arguments: str) -> dict[str, Any]:
    """Run a command; return its counts, its seconds from start to end, and the processor's on both sides."""
    before, server_before = resource.getrusage(resource.RUSAGE_CHILDREN), processor_seconds(server)
    begun = time.monotonic()
    answer = json.loads(run(local_dir, *arguments))
    seconds = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "rows": answer.get("made") or answer["removed"],
        "seconds": round(seconds, 1),
        "processor_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "server_processor_seconds": round(processor_seconds(server) - server_before, 1),
        "largest_megabytes": round(after.ru_maxrss / 1024),
    }


def processor_seconds(server: int) -> float:
    """Return what the server's ended sessions and it itself have used; the command's session has ended by then."""
    fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def as_text(figures: dict[str, Any], posts: int) -> str:
    lines = [f"{posts:,} posts; load of the machine {figures['load_of_the_machine'][0]}"]
    for name in ("fill", "clear"):
        part = figures[name]
        lines.append(
            f"{name:<6} {part['seconds']:>7.1f} s  ({part['processor_seconds']} s of the processor here,"
            f" {part['server_processor_seconds']} s in the server; {part['largest_megabytes']} MB at most)"
        )
        lines.append("       " + ", ".join(f"{count:,} {noun}" for noun, count in part["rows"].items() if count))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
