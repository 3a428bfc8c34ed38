"""The forms of an export. What the rows hold is text to whoever shows it, never a formula or a control character."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from audit.exports.formats import csv
from audit.exports.formats.lines import json_line
from ops.exporting.selections import Selection

Tables: TypeAlias = Iterable[tuple[Selection, Iterable[tuple[Any, ...]]]]


def as_json(tables: Tables) -> Iterator[bytes]:
    """One object: a list of rows for each model, by its label."""
    yield b"{"
    for place, (selection, rows) in enumerate(tables):
        yield f'{"," if place else ""}\n"{selection.label}": ['.encode()
        for number, row in enumerate(rows):
            yield (b",\n" if number else b"\n") + json_line(_members(selection, row)).rstrip()
        yield b"\n]"
    yield b"\n}\n"


def as_ndjson(tables: Tables) -> Iterator[bytes]:
    """A line for each row, with its `model`."""
    for selection, rows in tables:
        for row in rows:
            yield json_line({"model": selection.label, **_members(selection, row)})


def as_csv(tables: Tables) -> Iterator[bytes]:
    """A header, then a row for each; there's one model alone."""
    for selection, rows in tables:
        yield csv.row(selection.fields)
        for row in rows:
            yield csv.row(map(csv.cell, map(_plain, row)))


def _members(selection: Selection, row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(selection.fields, map(_plain, row), strict=True))


def _plain(value: Any) -> Any:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else value


FORMATS: dict[str, Callable[[Tables], Iterator[bytes]]] = {"json": as_json, "ndjson": as_ndjson, "csv": as_csv}
