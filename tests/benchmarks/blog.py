"""How many pages a second the blog serves from its cache, as a ratio to a view that returns a constant.

One web process of the platform, as `manage up` starts it, serves all of them: granian over WSGI, one worker with four
threads, all of the middleware, every request sampled. The pages take turns of some seconds, and another begins each
round. Quoted is the median over the rounds of (page / constant in the same round), with half of the distance between
the quartiles. The web process has one core; the load, PostgreSQL and Redis have the others.

    python tests/benchmarks/blog.py
    python tests/benchmarks/blog.py --rounds 3 --seconds 2 --format json
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# This folder holds modules with the names of packages of ours.
sys.path[:1] = [str(PROJECT / "platform"), str(PROJECT), str(HERE / "telemetry_peers")]

from environment import free_port, is_listening, processor_seconds, wait_until
from samples import Sample, middle, quantile_ms, spread
from web import CONNECTIONS, THREADS, Load

from config.embedded import postgres, redis
from config.processes import Process, Program, run_to_end, stop_all

PAGES = {
    "constant": ("a view that returns a constant", "/constant/"),
    "constant, again": ("the same, again: noise", "/constant/"),
    "home": ("home, kept", "/"),
    "archive": ("the archive, kept", "/blog/"),
    "post": ("a post, kept", "/blog/one-id-for-everything/"),
    "query": ("home, with a parameter that nobody knows", "/?utm_source=x"),
    "made": ("home, made each time of kept parts", "/made/"),
}
TO_REACH = {"home": 0.80}
FEWEST_ROUNDS = 5
_WARM_UP_SECONDS = 1.0


@contextmanager
def web_process() -> Iterator[tuple[Process, int]]:
    """Run the web process with demo data beside servers of its own."""
    cores = sorted(os.sched_getaffinity(0))
    others = set(cores[1:]) or {cores[0]}
    os.sched_setaffinity(0, others)  # handed down to all that's started from here
    started: list[Process] = []
    with tempfile.TemporaryDirectory(prefix="glasshouse-bench-") as folder:
        local_dir = Path(folder)
        try:
            started.append(postgres.start(local_dir))
            started.append(redis.start(local_dir, is_durable=False))
            environment = {
                **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                "PYTHONPATH": os.pathsep.join([str(PROJECT / "platform"), str(PROJECT), str(HERE)]),
                "DJANGO_SETTINGS_MODULE": "blog_site.settings",
                "LOCAL_DIR": folder,
                "GLASSHOUSE_PROCESS": "web",
            }
            for command in (["migrate", "--verbosity", "0"], ["seed_demo"]):
                arguments = [sys.executable, str(PROJECT / "platform" / "manage.py"), *command]
                made = run_to_end(Program(command[0], arguments, PROJECT, environment))
                if made.exit_code:
                    raise SystemExit(f"{command[0]} failed.\n" + "\n".join(made.last_lines))
            port = free_port()
            serve = [
                *(sys.executable, "-m", "granian", "config.wsgi:application", "--interface", "wsgi", "--workers", "1"),
                *("--host", "127.0.0.1", "--port", str(port), "--blocking-threads", str(THREADS)),
                *("--blocking-threads-idle-timeout", "600", "--no-ws", "--no-access-log", "--log-level", "warning"),
            ]
            # To a file: a pipe's reader would be this process, which has a load to make.
            redirected = ["/bin/sh", "-c", 'exec "$@" >>"$0"', str(local_dir / "web.log"), *serve]
            os.sched_setaffinity(0, {cores[0]})
            started.append(Process(Program("web", redirected, PROJECT, environment)))
            os.sched_setaffinity(0, others)
            wait_until(lambda: is_listening(port), "the web process", started[-1])
            yield started[-1], port
        finally:
            stop_all(started)
            os.sched_setaffinity(0, set(cores))


def turn(process: Process, port: int, path: str, seconds: float) -> Sample:
    """Ask for one page as often as it's answered."""
    load = Load(port, [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n\r\n".encode()])
    before = processor_seconds(process)
    latencies, elapsed = load.run(seconds)
    used = processor_seconds(process) - before
    count = len(latencies)
    return Sample(
        rate=count / elapsed,
        processor_us=used / count * 1e6,
        p50_ms=quantile_ms(latencies, 0.5),
        p99_ms=quantile_ms(latencies, 0.99),
    )


def measure(wanted: list[str], rounds: int, seconds: float) -> dict[str, list[Sample]]:
    """Return each page's turns."""
    samples: dict[str, list[Sample]] = {name: [] for name in wanted}
    with web_process() as (process, port):
        for number in range(rounds + 1):  # the first warms up
            start = number % len(wanted)
            for name in wanted[start:] + wanted[:start]:
                sample = turn(process, port, PAGES[name][1], seconds if number else _WARM_UP_SECONDS)
                if number:
                    samples[name].append(sample)
            print(f"round {number} of {rounds}", file=sys.stderr)
    return samples


def ratios(samples: dict[str, list[Sample]], name: str) -> list[float]:
    """Return the page's rate over the constant's, round by round."""
    return [page.rate / one.rate for page, one in zip(samples[name], samples["constant"], strict=True)]


def table(samples: dict[str, list[Sample]]) -> str:
    """Return all as a Markdown table."""
    lines = ["| | requests/s | over the constant | CPU a request | p50 | p99 | to reach |", "|---" * 7 + "|"]
    for name, taken in samples.items():
        ratio = ratios(samples, name)
        reach = TO_REACH.get(name)
        verdict = ""
        if reach is not None:
            verdict = f"{reach:.2f}: {'reached' if round(middle(ratio), 2) >= reach else '**missed**'}"
        rate, used, half, most = (
            middle([getattr(one, field) for one in taken]) for field in ("rate", "processor_us", "p50_ms", "p99_ms")
        )
        lines.append(
            f"| {PAGES[name][0]} | {rate:,.0f} | {middle(ratio):.2f} ±{spread(ratio):.2f} | {used:,.0f} µs "
            f"| {half:.1f} ms | {most:.1f} ms | {verdict} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", nargs="+", choices=list(PAGES), default=list(PAGES))
    parser.add_argument("--rounds", type=int, default=7, help=f"7 by default; figures to quote need {FEWEST_ROUNDS}")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one turn; 4 by default")
    parser.add_argument("--format", choices=["markdown", "json"], default="markdown", help="JSON has all rounds")
    options = parser.parse_args()
    if sys.platform != "linux":
        raise SystemExit("Cores and processor times are read as Linux gives them.")
    wanted = ["constant", *(name for name in options.pages if name != "constant")]
    samples = measure(wanted, options.rounds, options.seconds)
    if options.format == "json":
        told = {
            name: {
                "ratio": round(middle(ratios(samples, name)), 4),
                "spread": round(spread(ratios(samples, name)), 4),
                "rounds": [{key: round(value, 3) for key, value in asdict(one).items()} for one in taken],
            }
            for name, taken in samples.items()
        }
        print(json.dumps({"rounds": options.rounds, "pages": told}, indent=1))
        return
    print(
        f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"{CONNECTIONS} persistent connections. Medians of {options.rounds} rounds of {options.seconds:g} s.\n"
    )
    print(table(samples))
    if options.rounds < FEWEST_ROUNDS:
        print(f"\nToo few rounds to quote: take {FEWEST_ROUNDS} at least.")


if __name__ == "__main__":
    main()
