"""The soak, short: real clients on real servers that are restarted under them. The script is for the long one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

_PROJECT = Path(__file__).resolve().parents[2]


def test_all_clients_end_with_the_same_messages_though_redis_and_the_sockets_are_restarted() -> None:
    script = _PROJECT / "tests" / "benchmarks" / "chat_soak.py"
    arguments = ["--clients", "8", "--minutes", "0.15", "--per-second", "4", "--format", "json"]
    environment = {name: value for name, value in os.environ.items() if name not in ("LOCAL_DIR", "PYTHONPATH")}
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=_PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4_000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["restarts"] == {"redis": 2, "sockets": 2}
    assert figures["messages_stored"] == figures["messages_said"] > 5
    assert (figures["clients_that_differ"], figures["unanswered"], figures["applied_not_exactly_once"]) == (0, 0, 0)
    assert figures["connections"] >= 8 * 2
