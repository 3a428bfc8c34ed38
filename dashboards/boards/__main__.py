"""Writes the dashboards' JSON; with `--check`, says which files aren't as the code has them."""

import argparse
import sys
from pathlib import Path

from dashboards.boards.all import BOARDS

FOLDER = Path(__file__).parents[1] / "json"


def wanted() -> dict[str, str]:
    """Return the files that there should be, with what they should hold."""
    return {board.file_name: board.as_json() for board in BOARDS}


def stale(folder: Path = FOLDER) -> list[str]:
    """Return the names of files that are missing, are too many, or hold something else."""
    files = wanted()
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in files.keys() | there.keys() if files.get(name) != there.get(name))


def main(arguments: list[str] | None = None) -> int:
    """Write, or check."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.boards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if something would change")
    is_check = parser.parse_args(arguments).check
    names = stale()
    if is_check:
        if names:
            sys.stderr.write(f"Not as the code has them: {', '.join(names)}. Run `make dashboards`.\n")
        return 1 if names else 0
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, content in wanted().items():
        (FOLDER / name).write_text(content, encoding="utf-8")
    sys.stdout.write(f"{len(BOARDS)} dashboards are in {FOLDER}; {len(names)} changed.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
