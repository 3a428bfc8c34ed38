"""The wheel, as another project installs it."""

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Collection
from pathlib import Path

PROJECT = Path(__file__).parents[1]
_BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is not to be had here")
sys.meta_path.insert(0, Blocker())
"""


def environment_with_wheel(folder: Path, blocked: Collection[str]) -> Path:
    """Make an environment with the wheel, and of all else what is installed here, but nothing of this checkout.

    `blocked` are packages that none of its processes can import. Returns its Python.
    """
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "install"]
    install += ["--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=300, env=clean_environment())
    (packages,) = environment.glob("lib/python*/site-packages")
    # A path in a .pth file is taken as it is: the .pth of the editable install that lies there is not read.
    (packages / "installed-here.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    # Runs at the start of every process of the environment.
    (packages / "sitecustomize.py").write_text(_BLOCKER.format(blocked=set(blocked)))
    return python


def clean_environment(**more: str) -> dict[str, str]:
    """Return an environment with nothing of this process', and `more`."""
    return {"PATH": os.defpath, "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8", **more}


def run(python: Path, environment: dict[str, str], *arguments: str, folder: Path) -> str:
    """Run a script of `folder`; return what it prints, or fail with all of it."""
    done = subprocess.run(
        [str(python), *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
