"""Programs that check configuration. CI has them all; elsewhere a test that lacks one is skipped, and says so."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
DASHBOARDS = PROJECT / "dashboards"
_PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "amtool": "prometheus-alertmanager",
    "docker-compose": "docker-compose",
    "caddy": "caddy",
    "prometheus-postgres-exporter": "prometheus-postgres-exporter",
    "prometheus-redis-exporter": "prometheus-redis-exporter",
}


def path_of(program: str) -> str:
    """Return where a program is; without it the test fails in CI, and is skipped elsewhere."""
    found = shutil.which(program)
    if found is None:
        told = f"{program} isn't installed (Debian's package {_PACKAGES[program]})"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{told}; .ci/run should have installed it")
        pytest.skip(told)
    return found


def run(program: str, *arguments: str | Path, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, in the project's folder."""
    return subprocess.run(
        [path_of(program), *map(str, arguments)],
        cwd=PROJECT,
        env=None if env is None else {"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
