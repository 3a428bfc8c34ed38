"""Reading: the values of all processes, added up.

What a file says of its cells is read once, and kept as long as it holds: a scrape then picks the numbers out of each
file and adds them. A histogram declared with other buckets by an older release is added bound by bound.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import orjson

from telemetry.metrics import exemplars, slots
from telemetry.metrics.exemplars import Exemplar
from telemetry.metrics.families import families
from telemetry.metrics.store import Store
from telemetry.metrics.values import HEADER_BYTES, ZERO_CELL, Entry, UnreadableFileError, read_entries, read_file

_OWN = -1  # in place of a slot's number, this process' memory
Pairs = tuple[tuple[str, str], ...]


class Definition(NamedTuple):
    """A family as a file defines it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]


@dataclass
class _File:
    """What one slot's file says of its cells, as far as it has been read."""

    identity: int
    parsed: int = HEADER_BYTES
    definitions: dict[int, Definition] = field(default_factory=dict)
    helps: dict[str, str] = field(default_factory=dict)  # by name
    series: list[tuple[Definition, tuple[str, ...], int]] = field(default_factory=list)  # with the first cell

    def parse(self, data: bytes) -> None:
        """Read on, as far as it makes sense."""
        for entry in read_entries(data, self.parsed)[0]:
            try:
                self._take(entry)
            except (ValueError, LookupError, TypeError):
                return
            self.parsed = (entry.cell + entry.cells) * 8

    def _take(self, entry: Entry) -> None:
        said = orjson.loads(entry.key)
        if isinstance(said, list):
            self.series.append((self.definitions[said[0]], tuple(said[1:]), entry.cell))
        elif "of" in said:
            self.helps[self.definitions[said["of"]].name] = said["help"]
        else:
            labels, buckets = tuple(said["labels"]), tuple(said["buckets"])
            self.definitions[entry.at] = Definition(said["name"], said["type"], labels, buckets)


class _Written(NamedTuple):
    slot: int
    definition: Definition
    values: tuple[str, ...]
    cell: int


class Series(NamedTuple):
    """One series: its labels, and where its numbers begin among those of the scrape."""

    labels: Pairs
    first: int


@dataclass
class FamilyRead:
    """One family and its series over all files, whose numbers follow each other.

    Of a histogram's series they are its buckets, those of `bounds` and the infinite one, and then its sum.
    """

    name: str
    kind: str
    help: str
    bounds: tuple[float, ...]
    series: list[Series]


Picker = Callable[[Any], tuple[float, ...]]


@dataclass
class Layout:
    """Where each number lies: the families, and for each slot which cell each number is to be taken from.

    A slot has more than one such list where an older release wrote the same series in another form.
    """

    families: list[FamilyRead] = field(default_factory=list)
    cells: dict[int, list[list[int]]] = field(default_factory=dict)
    live: list[int] = field(default_factory=list)  # the numbers of gauges
    _pickers: dict[tuple[int, bool], list[Picker]] = field(default_factory=dict)
    _numbers: dict[int, dict[int, int]] = field(default_factory=dict)  # by slot and cell

    def pickers(self, slot: int, *, is_alive: bool) -> list[Picker]:
        """Return what takes the numbers from a slot's cells; those of gauges are nought where nobody lives."""
        pickers = self._pickers.get((slot, is_alive))
        if pickers is None:
            pickers = []
            for cells in self.cells[slot]:
                chosen = cells.copy()
                for number in () if is_alive else self.live:
                    chosen[number] = ZERO_CELL
                pickers.append(itemgetter(*chosen, ZERO_CELL, ZERO_CELL))
            self._pickers[slot, is_alive] = pickers
        return pickers

    def number_of(self, slot: int, cell: int) -> int | None:
        """Return which number a slot's cell is part of."""
        known = self._numbers.get(slot)
        if known is None:
            known = {at: number for cells in self.cells[slot] for number, at in enumerate(cells)}
            self._numbers[slot] = known
        return known.get(cell)


class Reading(NamedTuple):
    """What a scrape found: the layout, the numbers in its order, and the newest exemplar of some of them."""

    layout: Layout
    numbers: list[float]
    exemplars: dict[int, Exemplar]


class Reader:
    """Reads the files of all processes, or this process' memory where no folder is shared."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._files: dict[int, _File] = {}
        self._signature: tuple[Any, ...] = ()
        self._layout = Layout()
        os.register_at_fork(after_in_child=self._after_fork)

    def read(self, *, with_exemplars: bool) -> Reading:
        """Return all values. A damaged file is counted, and read as far as it goes."""
        with self._lock:
            data = dict(self._read_files())
            layout = self._current_layout(data)
            rows = []
            for slot, values in data.items():
                cells = memoryview(values)[: len(values) & ~7].cast("d")
                is_alive = not layout.live or slot == _OWN or self._store.is_alive(slot)
                rows += [pick(cells) for pick in layout.pickers(slot, is_alive=is_alive)]
            return Reading(
                layout, list(map(sum, zip(*rows, strict=True))), self._newest(layout) if with_exemplars else {}
            )

    def _read_files(self) -> Iterator[tuple[int, bytes]]:
        directory = self._store.directory
        if self._store.is_in_memory:
            identity, data = self._store.own_values()
            self._parse(_OWN, identity, data)
            yield _OWN, data
        if directory is None:
            return
        try:
            numbers = sorted(slots.numbers(directory))
        except OSError:
            numbers = []
            self._store.lose("file")
        for gone in self._files.keys() - {_OWN, *numbers}:
            del self._files[gone]
        for number in numbers:
            if data := self._read_file(slots.values_path(directory, number), number):
                yield number, data

    def _read_file(self, path: Path, slot: int) -> bytes:
        for _ in range(2):  # it may have been written or replaced at that very moment
            try:
                identity, used, data = read_file(path)
            except FileNotFoundError:
                return b""
            except (OSError, UnreadableFileError):
                data = b""
            else:
                if self._parse(slot, identity, data) == used:
                    return data
        self._store.lose("file")
        return data

    def _parse(self, slot: int, identity: int, data: bytes) -> int:
        file = self._files.get(slot)
        if file is None or file.identity != identity or file.parsed > len(data):
            file = self._files[slot] = _File(identity)
        file.parse(data)
        return file.parsed

    def _current_layout(self, data: Iterable[int]) -> Layout:
        files = {slot: self._files[slot] for slot in data}
        signature = tuple((slot, file.identity, file.parsed) for slot, file in files.items())
        if signature != self._signature:
            self._layout, self._signature = _layout_of(files), signature
        return self._layout

    def _newest(self, layout: Layout) -> dict[int, Exemplar]:
        newest: dict[int, Exemplar] = {}
        for slot in layout.cells:
            for cell, exemplar in self._exemplars_of(slot):
                number = layout.number_of(slot, cell)
                if number is not None and (number not in newest or exemplar.seconds > newest[number].seconds):
                    newest[number] = exemplar
        return newest

    def _exemplars_of(self, slot: int) -> Iterable[tuple[int, Exemplar]]:
        identity = self._files[slot].identity
        if slot == _OWN or self._store.directory is None:
            return (exemplars.read_records(self._store.own_exemplars(), identity) or {}).values()
        try:
            return exemplars.read_file(slots.exemplars_path(self._store.directory, slot), identity).values()
        except OSError:
            self._store.lose("file")
            return ()

    def _after_fork(self) -> None:
        self._lock = Lock()  # another thread of the parent may have held it, in the midst of its reading
        self._files = {}
        self._signature = ()


def _layout_of(files: dict[int, _File]) -> Layout:
    layout = Layout()
    by_name: dict[str, list[_Written]] = {}
    helps: dict[str, str] = {}
    for slot, file in files.items():
        helps.update(file.helps)
        for definition, values, cell in file.series:
            by_name.setdefault(definition.name, []).append(_Written(slot, definition, values, cell))
    helps.update({name: family.help for name, family in families.items()})
    count = 0
    targets: dict[int, list[tuple[int, int]]] = {slot: [] for slot in files}  # numbers, and the cells they're in
    for name in sorted(by_name):
        family, count = _family_of(name, helps.get(name, ""), by_name[name], count, targets)
        if family.series:
            layout.families.append(family)
        if family.kind == "gauge":
            layout.live += [one.first for one in family.series]
    for slot, found in targets.items():
        layout.cells[slot] = _in_lists(found, count)
    return layout


def _family_of(
    name: str, help_text: str, written: list[_Written], count: int, targets: dict[int, list[tuple[int, int]]]
) -> tuple[FamilyRead, int]:
    """Return one family, and the count of numbers with its own; note in `targets` what is where."""
    kind = families[name].kind if name in families else written[-1].definition.kind
    written = [one for one in written if one.definition.kind == kind]  # what it was before can't be added to it
    definitions = {one.definition for one in written}
    bounds = tuple(sorted({bound for definition in definitions for bound in definition.buckets}))
    numbers = {definition: _numbers_by_cell(definition, bounds) for definition in definitions}
    family = FamilyRead(name, kind, help_text, bounds, [])
    first_of: dict[Pairs, int] = {}
    for slot, definition, values, cell in written:
        pairs = tuple(sorted(zip(definition.labels, values, strict=False)))
        first = first_of.get(pairs)
        if first is None:
            first = first_of[pairs] = count
            family.series.append(Series(pairs, first))
            count += len(bounds) + 2 if kind == "histogram" else 1
        targets[slot] += [(first + number, cell + at) for at, number in enumerate(numbers[definition])]
    return family, count


def _numbers_by_cell(definition: Definition, bounds: tuple[float, ...]) -> list[int]:
    """Return for each cell of a series which of its numbers it is."""
    if definition.kind != "histogram":
        return [0]
    return [len(bounds) + 1, *(bounds.index(bound) for bound in definition.buckets), len(bounds)]


def _in_lists(found: list[tuple[int, int]], count: int) -> list[list[int]]:
    """Return a cell for each number; further lists for the numbers that have more than one."""
    lists = [[ZERO_CELL] * count]
    for number, cell in found:
        for cells in lists:
            if cells[number] == ZERO_CELL:
                cells[number] = cell
                break
        else:
            lists.append([ZERO_CELL] * count)
            lists[-1][number] = cell
    return lists
