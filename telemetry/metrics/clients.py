"""What a project or its libraries count with prometheus_client itself: kept by its own multiprocess mode, in our slots.

That mode names its files after the process' id, so they would grow with each process; after the slot they don't. It has
no exemplars.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import Metric, values
from prometheus_client.multiprocess import MultiProcessCollector

from telemetry.metrics.store import Store

_FOLDER = "prometheus_client"
_LIVE_GAUGE = re.compile(r"gauge_live\w*_(\d+)\.db")


def share(store: Store) -> None:
    """Have whatever prometheus_client makes from now on count in the shared folder, if there is one."""
    if store.directory is None:
        return
    folder = store.directory / _FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # then such metrics are the process' own
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    seen: set[int] = set()

    def identify() -> str:
        number = store.take_slot_number()
        if number is None:
            return "0000"  # no slot's name: its values go nowhere that is read for another
        if number not in seen:
            seen.add(number)
            for path, slot in _live_gauges(folder):  # of the process that had this slot before
                if slot == number:
                    path.unlink(missing_ok=True)
        return str(number)

    os.register_at_fork(after_in_child=seen.clear)
    values.ValueClass = values.MultiProcessValue(process_identifier=identify)  # type: ignore[no-untyped-call]


def collect(store: Store) -> Iterator[Metric]:
    """Give these metrics, added up over the processes; gauges of those that live."""
    if store.directory is None:
        return
    folder = store.directory / _FOLDER
    ghosts = {path for path, slot in _live_gauges(folder) if not store.is_alive(slot)}
    files = [str(path) for path in sorted(folder.glob("*.db")) if path not in ghosts]
    with suppress(ValueError, OSError):  # a file that was cut short
        yield from MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]


def _live_gauges(folder: Path) -> list[tuple[Path, int]]:
    found = ((path, _LIVE_GAUGE.fullmatch(path.name)) for path in folder.glob("gauge_live*.db"))
    return [(path, int(match[1])) for path, match in found if match]
