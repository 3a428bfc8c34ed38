"""What log lines cost: microseconds of CPU each, written to /dev/null.

python tests/benchmarks/logs.py
python tests/benchmarks/logs.py --lines 50000 --rounds 9
"""

import argparse
import logging
import os
import statistics
import sys
import time
import timeit
from collections.abc import Callable
from itertools import count
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_PROJECT))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--lines", type=int, default=20_000, help="lines in each round")
    arguments.add_argument("--rounds", type=int, default=7, help="rounds; the median counts")
    options = arguments.parse_args()
    _use_django()
    report = os.fdopen(os.dup(1), "w")
    _write_to_nowhere()
    for name, write in _cases().items():
        timer = timeit.Timer(write, timer=time.thread_time)
        rounds = [took / options.lines * 1e6 for took in timer.repeat(options.rounds, options.lines)]
        report.write(f"{name:<50} {statistics.median(rounds):6.2f} µs ({min(rounds):.2f} to {max(rounds):.2f})\n")
        report.flush()


def _use_django() -> None:
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="a-key-that-is-long-enough-to-be-looked-for",
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "PASSWORD": "as-is-this-password"}},
        INSTALLED_APPS=["telemetry"],
        LOGGING_CONFIG=None,
        TELEMETRY_PROCESS="web",
        TELEMETRY_LOG_LEVEL="INFO",
    )
    django.setup()


def _write_to_nowhere() -> None:
    """Let standard output be /dev/null: a pipe would be as fast as whoever reads it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)


def _cases() -> dict[str, Callable[[], object]]:
    from telemetry import logs
    from telemetry.context import Actor, Context, activate
    from telemetry.redaction import clean

    logs.configure()
    activate(
        Context(
            request_id="0198b0a7c5c07f0b8d3f0a1b2c3d4e5f",
            trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
            span_id="00f067aa0ba902b7",
            actor_source=Actor("user", "4711", "una"),
        )
    )
    log = logs.get_logger("http")
    library = logging.getLogger("some.library")
    numbers = count()

    def canonical() -> None:
        number = next(numbers)
        log.info(
            "http.request",
            method="GET",
            route="/blog/<slug:slug>/",
            path=f"/blog/a-post-{number}/",
            status=200,
            duration_ms=12.3,
            client_address="203.0.113.7",
            statements=4,
            statements_ms=2.1,
            cache_operations=3,
            cache_hits=2,
            user_id="4711",
            error_type="",
        )

    def failed() -> None:
        try:
            int("x")
        except ValueError as error:
            log.error("blog.post_failed", exc_info=error)

    return {
        "canonical line, twelve fields": canonical,
        "line with one field": lambda: log.info("blog.post_published", count=3),
        "filtered out": lambda: log.debug("blog.post_published", count=3),
        "line with an exception": failed,
        "library's line": lambda: library.info("Retrying %s in %d s", "host", 3),
        "clean: a short text seen before": lambda: clean("/blog/<slug:slug>/"),
        "clean: a new short text": lambda: clean(f"/blog/a-post-{next(numbers)}/"),
        "clean: a new text of 300 characters": lambda: clean(f"{next(numbers)} " + "word and " * 33),
        "clean: a new text that may hold a secret": lambda: clean(f"GET /?token=abc&page={next(numbers)}"),
    }


if __name__ == "__main__":
    main()
