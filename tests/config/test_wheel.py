"""What another project installs: the ledger and telemetry, and nothing of the platform."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        timeout=300,
    )
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_audit_and_telemetry_alone(wheel: zipfile.ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    (metadata,) = (top for top in tops if top.endswith(".dist-info"))
    assert tops == {"audit", "telemetry", metadata}
    assert f"{metadata}/licenses/LICENSE" in wheel.namelist()


def test_the_wheel_holds_every_file_of_both(wheel: zipfile.ZipFile) -> None:
    expected = {
        path.relative_to(PROJECT).as_posix()
        for package in ("audit", "telemetry")
        for path in (PROJECT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"audit/py.typed", "telemetry/py.typed"} < expected
    assert any(name.endswith(".sql") for name in expected)
    assert any(name.endswith(".html") for name in expected)
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


def test_the_wheel_asks_for_nothing_that_only_the_platform_needs(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    lines = wheel.read(metadata).decode().splitlines()
    required = [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert len(required) <= 10
    assert not any(name in line for line in required for name in ("celery", "channels", "granian", "pillow"))
