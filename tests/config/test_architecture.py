"""The rules of the house that a program can check."""

import platform
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

PROJECT = Path(__file__).parents[2]
OWN = ("audit", "telemetry", "platform", "tests")
LONGEST_MODULE = 400
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}


def own_modules(*roots: str) -> list[Path]:
    return sorted(path for root in roots or OWN for path in (PROJECT / root).rglob("*.py"))


def test_platform_is_the_standard_librarys() -> None:
    assert platform.python_version() == sys.version.split()[0]
    assert not hasattr(platform, "__path__")


@pytest.mark.parametrize("folder", ["platform", "tests/platform", "tests"])
def test_no_package_hides_the_standard_librarys_platform(folder: str) -> None:
    assert not (PROJECT / folder / "__init__.py").exists()


def test_arrows_point_one_way() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.django_db(databases=["default", "owner"])
def test_no_model_is_ahead_of_its_migrations() -> None:
    out = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=out, stderr=out)
    assert "No changes detected" in out.getvalue()


def test_every_model_is_tracked_or_exempt_with_a_reason() -> None:
    call_command("check", tags=["models"], fail_level="WARNING", stdout=StringIO(), stderr=StringIO())


def test_modules_are_named_for_what_they_hold() -> None:
    assert [path for path in own_modules() if path.stem in VAGUE_NAMES] == []


def test_modules_are_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in own_modules("audit", "telemetry", "platform")}
    assert {path: length for path, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_packages_import_no_models_of_themselves() -> None:
    packages = [path for path in own_modules("audit", "telemetry", "platform") if path.name == "__init__.py"]
    assert [path for path in packages if "models import" in path.read_text()] == []


def test_the_environment_is_read_in_the_settings_alone() -> None:
    """Telemetry reads OpenTelemetry's own variables, and `config` starts processes."""
    readers = {path.relative_to(PROJECT) for path in own_modules("audit", "platform") if "environ" in path.read_text()}
    assert {path for path in readers if path.parts[:2] != ("platform", "config") and path.name != "manage.py"} == set()


def test_no_test_sleeps() -> None:
    word = "sleep" + "("
    assert [path for path in own_modules("tests") if word in path.read_text()] == []
