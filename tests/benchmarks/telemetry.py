"""What telemetry costs, beside today's libraries, as ratios to bare Django.

Each variant runs in processes of its own, on the same servers, with the same work. They take turns of some seconds, and
another begins each round, so that a machine that is busy for a while is busy for all. Quoted is the median over the
rounds of (variant / bare in the same round), with half of the distance between the quartiles. `bare, again` is bare
Django a second time: what differs there is noise. What is measured has one core; the load, PostgreSQL, Redis and the
collector have the others.

    python tests/benchmarks/telemetry.py
    python tests/benchmarks/telemetry.py --work http-wsgi --variants ours ours_tenth usual --rounds 3 --seconds 2
    python tests/benchmarks/telemetry.py --work celery broadcast --format json
    python tests/benchmarks/telemetry.py --work http-wsgi --variants ours ours_no_line ours_no_store ours_no_files
"""

import argparse
import gc
import os
import platform
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

PROJECT = Path(__file__).resolve().parents[2]
# This folder holds modules with the names of packages of ours.
sys.path[:1] = [str(PROJECT / "platform"), str(PROJECT), str(Path(__file__).parent / "telemetry_peers")]

from broadcasts import LISTENERS, Broadcasts
from environment import Environment, pause, started
from evidence import hold
from jobs import Jobs
from report import Samples, as_json, table
from samples import Evidence, Sample
from variants import ON_REQUEST, VARIANTS, WORK
from web import CONNECTIONS, THREADS, Web

SUBJECTS = {"http-wsgi": Web, "http-asgi": Web, "post": Web, "celery": Jobs, "broadcast": Broadcasts}
FEWEST_ROUNDS = 5
_WARM_UP_SECONDS = 1.0
_LAST_EXPORTS_SECONDS = 2.0
_DISTRIBUTIONS = (
    *("django", "psycopg", "granian", "uvicorn", "celery", "channels-redis", "django-structlog", "django-prometheus"),
    *("opentelemetry-sdk", "opentelemetry-instrumentation-django", "logfire", "django-auditlog"),
)


class Subject(Protocol):
    """The processes of one variant, ready to work."""

    variant: str

    def turn(self, seconds: float) -> Sample: ...
    def evidence(self) -> Evidence: ...


def measure(
    environment: Environment, work: str, variants: list[str], rounds: int, seconds: float
) -> tuple[Samples, dict[str, Evidence]]:
    """Return each variant's turns, and what it told of them.

    Raises SystemExit: a variant failed at its work, or didn't tell of all of it.
    """
    subjects: list[Subject] = []
    try:
        for variant in variants:
            if SUBJECTS[work] is Web:
                environment.prepare_database(variant, work)
            subjects.append(SUBJECTS[work](environment, variant, work))
        samples: Samples = {variant: [] for variant in variants}
        gc.collect()
        gc.freeze()
        for number in range(rounds + 1):  # the first warms up
            for subject in subjects[number % len(subjects) :] + subjects[: number % len(subjects)]:
                sample = subject.turn(seconds if number else _WARM_UP_SECONDS)
                if number:
                    samples[subject.variant].append(sample)
            print(f"{work}: round {number} of {rounds}", file=sys.stderr)
        pause(_LAST_EXPORTS_SECONDS)
        evidence = {subject.variant: subject.evidence() for subject in subjects}
        for variant in variants:
            hold(variant, work, evidence[variant])
        return samples, evidence
    finally:
        environment.stop_subjects()


def machine(environment: Environment, *, is_durable: bool) -> str:
    """Return in one line what the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    return (
        f"{os.cpu_count()} cores {model}, {platform.system()} {platform.release()}; what is measured has core "
        f"{sorted(environment.watched_cores)[0]}, all else {sorted(environment.other_cores)}; "
        f"Python {platform.python_version()}, PostgreSQL on a unix socket, "
        f"fsync and synchronous_commit {'on' if is_durable else 'off'}; HTTP on granian, {CONNECTIONS} persistent "
        f"connections; WSGI with one worker of {THREADS} threads that keep their database connections, ASGI with a "
        f"pool; {LISTENERS} sockets on uvicorn with the Pub/Sub layer; "
        + ", ".join(f"{name} {version(name)}" for name in _DISTRIBUTIONS)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", nargs="+", choices=list(WORK), default=list(WORK))
    parser.add_argument(
        "--variants", nargs="+", choices=list(VARIANTS), help="bare is always there; by default all whole"
    )
    parser.add_argument("--rounds", type=int, default=7, help=f"7 by default; figures to quote need {FEWEST_ROUNDS}")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one turn; 4 by default")
    parser.add_argument("--format", choices=["markdown", "json"], default="markdown", help="JSON has all rounds")
    parser.add_argument("--volatile", action="store_true", help="fsync and synchronous_commit off")
    options = parser.parse_args()
    if sys.platform != "linux":
        raise SystemExit("Cores and processor times are read as Linux gives them.")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that all that was started goes too
    wanted = {"bare", *(options.variants or set(VARIANTS) - ON_REQUEST)}
    works: dict[str, tuple[Samples, dict[str, Evidence]]] = {}
    with started(is_durable=not options.volatile) as environment:
        about = machine(environment, is_durable=not options.volatile)
        for work in options.work:
            variants = [one for one in WORK[work].variants if one in wanted]
            works[work] = measure(environment, work, variants, options.rounds, options.seconds)
    if options.format == "json":
        print(as_json(about, options.rounds, works))
        return
    print(f"{about}.\n\nMedians of {options.rounds} rounds of {options.seconds:g} s.\n")
    for work, (samples, evidence) in works.items():
        print(f"### {WORK[work].heading}\n\n{table(work, samples, evidence)}\n")
    if options.rounds < FEWEST_ROUNDS:
        print(f"Too few rounds to quote: take {FEWEST_ROUNDS} at least.")


if __name__ == "__main__":
    main()
