"""This process' values: a slot in the shared folder, or memory where there is none, and the cell of each series."""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import RLock
from typing import Any, Protocol

from telemetry import conf
from telemetry.metrics import exemplars, slots
from telemetry.metrics.exemplars import ExemplarFile
from telemetry.metrics.family import Family
from telemetry.metrics.slots import Slot
from telemetry.metrics.values import HEADER_BYTES, SCRATCH_CELL, ValueFile

log = logging.getLogger("metrics")


class Series(Protocol):
    """What has a cell here: `at` is its first one, None until it has a place."""

    family: Family
    label_values: tuple[str, ...] | None
    at: Any


class Store:
    """Where this process counts.

    `cells` are its values, to be changed under `lock` alone; None until it has a place, as after a fork. The lock may
    be taken twice by one thread: a signal's handler or a finaliser may count in the midst of counting.
    """

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self.lock = RLock()
        self.cells: memoryview[float] | None = None
        self._on_loss: Callable[..., None] | None = None
        self._losses: list[tuple[str, ...]] = []
        self._has_told_full = False
        self._slot: Slot | None = None
        self._values: ValueFile | None = None
        self._exemplars: ExemplarFile | None = None
        self._placed: list[Series] = []
        os.register_at_fork(after_in_child=self._after_fork)

    @property
    def slot_number(self) -> int | None:
        """The slot that this process holds; None where its values are in memory."""
        return self._slot.number if self._slot is not None else None

    def take_slot_number(self) -> int | None:
        """Return the number of the slot that this process holds, after taking one; None where it can have none."""
        with self.lock:
            if self._values is None:
                self._attach()
            return self.slot_number

    @property
    def is_in_memory(self) -> bool:
        """Whether its values aren't shared."""
        return self.directory is None or (self._values is not None and self._slot is None)

    def place(self, metric: Series) -> "memoryview[float]":
        """Give a series its cell, and return the cells.

        The series that would be one too many, or find no room, shares its cell with the family's `_OTHER`.
        """
        values = metric.label_values
        if values is None:
            raise ValueError(f"{metric.family.name} has labels: {', '.join(metric.family.labels)}.")
        with self.lock:
            file = self._values or self._attach()
            metric.at = self._cell_of(file, metric.family, values)
            self._placed.append(metric)
            self.cells = file.cells
            return file.cells

    def tell_losses_to(self, on_loss: Callable[..., None]) -> None:
        """Call `on_loss` with what is lost: `series` and the metric's name, `exemplar`, or `file`."""
        self._on_loss = on_loss
        losses, self._losses = self._losses, []
        for loss in losses:
            on_loss(*loss)

    def lose(self, *loss: str) -> None:
        """Tell of a loss, now or once somebody listens."""
        if self._on_loss is not None:
            self._on_loss(*loss)
        else:
            self._losses.append(loss)

    def keep_exemplar(self, cell: int, labels: Mapping[str, str], value: float) -> None:
        """Keep a cell's newest exemplar. One that OpenMetrics doesn't take is counted, and dropped."""
        kept = exemplars.labels_of(labels)
        with self.lock:
            if kept is None:
                self.lose("exemplar")
            elif cell >= HEADER_BYTES // 8:  # and not in the scratch
                (self._exemplars or self._open_exemplars()).keep(cell, kept, value)

    def own_values(self) -> tuple[int, bytes]:
        """Return the identity and the bytes of this process' values."""
        with self.lock:
            file = self._values or self._attach()
            return file.identity, file.copy()

    def own_exemplars(self) -> bytes:
        """Return the bytes of this process' exemplars, where they are in memory."""
        with self.lock:
            return self._exemplars.copy() if self._exemplars is not None else b""

    def is_alive(self, number: int) -> bool:
        """Whether a process holds that slot."""
        with self.lock:  # so that no thread takes a slot of which another one closes a handle
            return number == self.slot_number or (self.directory is not None and slots.is_alive(self.directory, number))

    def _cell_of(self, file: ValueFile, family: Family, values: tuple[str, ...]) -> int:
        try:
            definition = file.define(family.name, family.kind, family.labels, family.buckets, family.help)
            cell = file.find(definition, values)
            if cell is not None:
                return cell
            if values == family.other or file.series_counts.get(definition, 0) < family.most_series:
                return file.add(definition, values, family.cells)
        except OSError as error:
            self._tell_full(error)
        self.lose("series", family.name)
        try:
            definition = file.define(family.name, family.kind, family.labels, family.buckets, family.help)
            cell = file.find(definition, family.other)
            return cell if cell is not None else file.add(definition, family.other, family.cells)
        except OSError:
            return SCRATCH_CELL

    def _tell_full(self, error: OSError) -> None:
        if not self._has_told_full:
            self._has_told_full = True
            log.warning("metrics.no_room", extra={"error": str(error)})

    def _attach(self) -> ValueFile:
        for metric in self._placed:  # by a parent, in its own cells
            metric.at = None
        self._placed.clear()
        file = None
        if self.directory is not None:
            try:
                file = self._take_slot(self.directory)
            except Exception as error:  # telemetry fails open: this process' counts are its own then
                log.warning("metrics.not_shared", extra={"error": str(error)})
        self._values = file or ValueFile(None)
        self.cells = self._values.cells
        return self._values

    def _take_slot(self, directory: Path) -> ValueFile:
        slot = self._slot = slots.take(directory)
        try:
            file = ValueFile(slot.values_path)
        except BaseException:
            self._slot = None
            slot.forget()
            raise
        for gauge in file.gauges:  # of the process that had this slot before
            file.cells[gauge] = 0.0
        slot.announce()
        if file.was_damaged:
            self.lose("file")
        return file

    def _open_exemplars(self) -> ExemplarFile:
        values = self._values or self._attach()
        try:
            self._exemplars = ExemplarFile(self._slot.exemplars_path if self._slot else None, values.identity)
        except OSError as error:
            log.warning("metrics.exemplars_not_shared", extra={"error": str(error)})
            self._exemplars = ExemplarFile(None, values.identity)
        return self._exemplars

    def _after_fork(self) -> None:
        """Let go of what is the parent's; the first count takes a slot of the child's own."""
        self.lock = RLock()  # another thread of the parent may have held it
        if self._slot is None:
            return
        self._slot.forget()
        if self._values is not None:
            self._values.close()
        self._slot = self._values = self._exemplars = self.cells = None


store = Store(conf.metrics_directory())
