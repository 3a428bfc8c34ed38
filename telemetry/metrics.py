"""Prometheus metrics whose counts outlive the process that made them, and are read once for a whole machine.

Every process writes its values to memory-mapped files named after a slot that it holds by a file lock. A process that
comes takes a free slot and counts on in its files, so files are as many as processes ever ran at once. Owners declare
their metrics with `counter`, `gauge` and `histogram`, in base units.
"""

import fcntl
import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from telemetry import conf

_directory = conf.metrics_directory()
if _directory is not None:
    _directory.mkdir(parents=True, exist_ok=True)
    # prometheus_client chooses its storage when it is imported.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_directory)

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values  # noqa: E402
from prometheus_client.multiprocess import MultiProcessCollector  # noqa: E402
from prometheus_client.registry import REGISTRY  # noqa: E402

# Buckets of the semantic conventions, in seconds.
HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
DATABASE_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
TASK_BUCKETS = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

_slot_pid = 0
_slot_name = ""
_slot_file: int | None = None


def counter(name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
    """Declare a counter; its name ends in `_total`."""
    return Counter(name, documentation, labels)


def gauge(name: str, documentation: str, labels: Sequence[str] = ()) -> Gauge:
    """Declare a gauge that is the sum over the processes now alive."""
    return Gauge(name, documentation, labels, multiprocess_mode="livesum")


def histogram(name: str, documentation: str, labels: Sequence[str] = (), *, buckets: Sequence[float]) -> Histogram:
    """Declare a histogram; its name ends in its base unit."""
    return Histogram(name, documentation, labels, buckets=buckets)


def exposed_registry() -> CollectorRegistry:
    """Return what a scrape reads: this machine's processes together, or this process where no folder is shared."""
    if _directory is None:
        return REGISTRY
    _remove_dead_gauges(_directory)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(_directory))  # type: ignore[no-untyped-call]
    return registry


def _slot(directory: Path) -> str:
    """The name of this process' slot. A forked child takes one of its own."""
    global _slot_pid, _slot_name, _slot_file
    pid = os.getpid()
    if pid != _slot_pid:
        if _slot_file is not None:
            os.close(_slot_file)  # the parent's, inherited: record locks don't cross a fork
        number = 0
        while (taken := _try_lock(directory / f"slot-{number}.lock")) is None:
            number += 1
        _slot_pid, _slot_name, _slot_file = pid, str(number), taken
        for left in directory.glob(f"gauge_live*_{number}.db"):
            left.unlink(missing_ok=True)  # live values of the process that had this slot before
    return _slot_name


def _try_lock(path: Path) -> int | None:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def _remove_dead_gauges(directory: Path) -> None:
    """Live gauges of a process that is gone would be ghosts."""
    for path in directory.glob("gauge_live*_*.db"):
        match = re.search(r"_(\d+)\.db$", path.name)
        if not match or match[1] == _slot_name:  # closing a second handle would drop our own lock
            continue
        if (lock := _try_lock(directory / f"slot-{match[1]}.lock")) is not None:
            path.unlink(missing_ok=True)
            os.close(lock)


if _directory is not None:
    values.ValueClass = values.MultiProcessValue(process_identifier=partial(_slot, _directory))  # type: ignore[no-untyped-call]
