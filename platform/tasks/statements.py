"""The statements in `sql/`: what a task costs is these, so each is one round trip."""

from functools import cache
from pathlib import Path
from typing import Any

from django.db import connection

_FOLDER = Path(__file__).parent / "sql"


def rows_of(name: str, **values: Any) -> list[tuple[Any, ...]]:
    """Run `sql/<name>.sql` and return the rows it gives."""
    with connection.cursor() as cursor:
        cursor.execute(_text(name), values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def count_of(name: str, **values: Any) -> int:
    """Run `sql/<name>.sql` and return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(_text(name), values)
        return int(cursor.rowcount)


@cache
def _text(name: str) -> str:
    lines = (_FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))
