#!/usr/bin/env python3
"""Glasshouse's management commands. Called without an environment of its own, it finds the project's .venv."""

import os
import sys

SOURCE_ROOT = os.path.dirname(os.path.realpath(__file__))
PROJECT = os.path.dirname(SOURCE_ROOT)
VENV = os.path.join(PROJECT, ".venv")


def enter_venv() -> None:
    """Go on inside the project's .venv where there is one and this isn't it."""
    python = os.path.join(VENV, "bin", "python")
    is_made = os.path.exists(os.path.join(VENV, "pyvenv.cfg")) and os.access(python, os.X_OK)
    if is_made and os.path.realpath(sys.prefix) != os.path.realpath(VENV):
        os.execv(python, [python, os.path.realpath(__file__), *sys.argv[1:]])  # noqa: S606


def main() -> int:
    """Run the command that the arguments name, and return the exit code."""
    enter_venv()
    for folder in (PROJECT, SOURCE_ROOT):
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
    try:
        import django  # noqa: F401
    except ImportError:
        print("Django isn't installed here. Run `make setup` first.", file=sys.stderr)  # noqa: T201
        return 1
    from config.commandline import run

    return run(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
