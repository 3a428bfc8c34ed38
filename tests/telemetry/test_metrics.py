"""Counts of many processes are read once, and outlive the processes."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

PRELUDE = """
import sys
from django.conf import settings
settings.configure(TELEMETRY_METRICS_DIR=sys.argv[1])
from telemetry import metrics
things = metrics.counter("things_total", "Things.", ["kind"])
active = metrics.gauge("things_active", "Active things.")
def value(name, **labels):
    return metrics.exposed_registry().get_sample_value(name, labels)
"""


def run(directory: Path, code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", PRELUDE + dedent(code), str(directory)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_counts_of_processes_add_up_and_files_stay_as_many_as_ran_at_once(tmp_path: Path) -> None:
    for _ in range(4):
        run(tmp_path, "things.labels('a').inc()")

    assert run(tmp_path, "things.labels('a').inc(); print(value('things_total', kind='a'))") == "5.0"
    assert len(list(tmp_path.glob("counter_*.db"))) == 1


def test_a_forked_child_counts_in_a_slot_of_its_own(tmp_path: Path) -> None:
    code = """
    import os
    things.labels('a').inc()
    for _ in range(3):
        if (pid := os.fork()) == 0:
            things.labels('a').inc(10)
            os._exit(0)
        os.waitpid(pid, 0)
    things.labels('a').inc()
    print(value('things_total', kind='a'))
    """
    assert run(tmp_path, code) == "32.0"
    assert len(list(tmp_path.glob("counter_*.db"))) == 2  # the children came one after another


def test_a_dead_process_leaves_no_ghost_in_a_gauge(tmp_path: Path) -> None:
    run(tmp_path, "import os; active.set(7); os._exit(0)")

    assert run(tmp_path, "active.set(2); print(value('things_active'))") == "2.0"
    assert run(tmp_path, "print(value('things_active'))") in {"0.0", "None"}
