"""Python processes that count in a folder of their own, for the tests of metrics."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

PRELUDE = """
import os, sys
from django.conf import settings
settings.configure(TELEMETRY_METRICS_DIR=sys.argv[1])
from telemetry import metrics
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
things = metrics.counter("things_total", "Things.", ["kind"])
active = metrics.gauge("things_active", "Active things.")
sizes = metrics.histogram("thing_size_bytes", "Sizes.", ["kind"], buckets=[1, 10, 100])
def value(name, **labels):
    return metrics.exposed_registry().get_sample_value(name, labels)
def lines(name):
    text = generate_openmetrics(metrics.exposed_registry()).decode()
    return [line for line in text.splitlines() if line.startswith(name)]
def in_child(work):
    if (pid := os.fork()) == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid
def end(*pids):
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
"""


def start(directory: Path | None, code: str) -> subprocess.Popen[str]:
    """Start a process that runs the code, after the prelude; without a folder it counts for itself."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + dedent(code), str(directory or "")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for the process' good end, and return what it printed."""
    try:
        output, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    return output.strip()


def run(directory: Path | None, code: str) -> str:
    """Run the code in a process of its own, and return what it printed."""
    return finish(start(directory, code))
