"""Families of metrics, declared by their owners with `counter`, `gauge` and `histogram`, and their series."""

import re
import sys
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any, Self, TypeVar

from telemetry.metrics.family import Family
from telemetry.metrics.store import store
from telemetry.metrics.values import MOST_CELLS

MOST_SERIES = 2_000
_LONGEST_VALUE = 200  # characters of a label's value; the rest is cut off
_NAME = re.compile(r"[a-z][a-z0-9_]*")

M = TypeVar("M", bound="Metric")
LabelSets = Iterable[Sequence[str]]

families: dict[str, Family] = {}
_NO_SERIES: dict[tuple[Any, ...], Any] = {}  # of what is one series itself


class Metric:
    """A series where `label_values` are given; else a family with labels, which has series."""

    __slots__ = ("_series", "at", "family", "label_values")

    def __init__(self, family: Family, label_values: tuple[str, ...] | None) -> None:
        self.family = family
        self.label_values = label_values
        self.at: Any = None  # the first cell; None until the process has a place for it
        self._series: dict[tuple[Any, ...], Self] = {} if label_values is None else _NO_SERIES
        if label_values is not None:
            store.place(self)

    def labels(self, *values: object, **named: object) -> Self:
        """Return the series with these values of the labels, in their order or by name.

        It's there from then on, beginning at 0. Beyond the family's `most_series` it's the one whose values are all
        `_OTHER`. ValueError where the labels are others than declared.
        """
        try:
            return self._series[values]
        except (KeyError, TypeError):
            return self._new_series(values, named)

    def _new_series(self, values: tuple[object, ...], named: Mapping[str, object]) -> Self:
        family = self.family
        if named and not values and named.keys() == set(family.labels):
            values = tuple(named[label] for label in family.labels)
        elif named or not values or len(values) != len(family.labels) or self.label_values is not None:
            raise ValueError(f"{family.name} has the labels {family.labels}, not {values or tuple(named)}.")
        key = tuple(_cleaned(value) for value in values)
        with store.lock:
            series = self._series.get(key)
            if series is None:
                if len(self._series) >= family.most_series and key != family.other:
                    store.lose("series", family.name)
                    return self._new_series(family.other, {})
                series = self._series[key] = type(self)(family, key)
            return series

    @property
    def value(self) -> float:
        """What this process, and those that held its slot before, counted; a histogram's sum."""
        with store.lock:
            cells = store.cells
            if cells is None or self.at is None:
                cells = store.place(self)
            return float(cells[self.at])


class Counter(Metric):
    """Only ever grows."""

    __slots__ = ()

    def inc(self, amount: float = 1, exemplar: Mapping[str, str] | None = None) -> None:
        """Add `amount`, not less than 0 (ValueError); an exemplar is as `{"trace_id": …}`."""
        if not amount >= 0:
            raise ValueError("A counter only grows.")
        with store.lock:
            try:
                store.cells[self.at] += amount  # type: ignore[index]
            except TypeError:  # it has no place yet
                store.place(self)[self.at] += amount
        if exemplar:
            store.keep_exemplar(self.at, exemplar, amount)


class Gauge(Metric):
    """What is now; read as the sum over the processes that live."""

    __slots__ = ()

    def inc(self, amount: float = 1) -> None:
        """Add `amount`."""
        with store.lock:
            try:
                store.cells[self.at] += amount  # type: ignore[index]
            except TypeError:
                store.place(self)[self.at] += amount

    def dec(self, amount: float = 1) -> None:
        """Take `amount` away."""
        self.inc(-amount)

    def set(self, value: float) -> None:
        """Let the value be this one."""
        with store.lock:
            try:
                store.cells[self.at] = value  # type: ignore[index]
            except TypeError:
                store.place(self)[self.at] = value


class Histogram(Metric):
    """How often values were how big."""

    __slots__ = ("_bounds",)

    def __init__(self, family: Family, label_values: tuple[str, ...] | None) -> None:
        self._bounds = family.buckets
        super().__init__(family, label_values)

    def observe(self, value: float, exemplar: Mapping[str, str] | None = None) -> None:
        """Count a value, in the family's unit; an exemplar is as `{"trace_id": …}`."""
        if value != value:  # not a number: the sum would never be one again
            return
        bucket = bisect_left(self._bounds, value) + 1
        with store.lock:
            try:
                cells = store.cells
                at = self.at
                cells[at] += value  # type: ignore[index]
            except TypeError:
                cells = store.place(self)
                at = self.at
                cells[at] += value
            cells[at + bucket] += 1  # type: ignore[index]
        if exemplar:
            store.keep_exemplar(at + bucket, exemplar, value)


def counter(
    name: str, documentation: str, labels: Sequence[str] = (), *, known: LabelSets = (), most_series: int = MOST_SERIES
) -> Counter:
    """Declare a counter; its name ends in `_total`.

    `known` are the sets of labels' values that there will be, so that a rate has a zero to begin from; with one label,
    plain values will do. Beyond `most_series` all is counted under `_OTHER`. ValueError for a bad or known name.
    """
    return _declare(Counter, "counter", name, documentation, labels, (), known, most_series)


def gauge(
    name: str, documentation: str, labels: Sequence[str] = (), *, known: LabelSets = (), most_series: int = MOST_SERIES
) -> Gauge:
    """Declare a gauge that is the sum over the processes now alive; `known`, `most_series`: see `counter`."""
    return _declare(Gauge, "gauge", name, documentation, labels, (), known, most_series)


def histogram(
    name: str,
    documentation: str,
    labels: Sequence[str] = (),
    *,
    buckets: Sequence[float],
    known: LabelSets = (),
    most_series: int = MOST_SERIES,
) -> Histogram:
    """Declare a histogram; its name ends in its base unit. `known`, `most_series`: see `counter`."""
    return _declare(Histogram, "histogram", name, documentation, labels, buckets, known, most_series)


def _declare(
    made: type[M],
    kind: str,
    name: str,
    documentation: str,
    labels: Sequence[str],
    buckets: Sequence[float],
    known: LabelSets,
    most_series: int,
) -> M:
    bounds = tuple(float(bound) for bound in buckets if bound != inf)
    module = sys._getframe(2).f_globals["__name__"]
    family = Family(name, kind, documentation, tuple(labels), bounds, most_series, module)
    _check(family)
    families[name] = family
    metric = made(family, None if labels else ())
    for values in known:
        metric.labels(*([values] if isinstance(values, str) else values))
    return metric


def _check(family: Family) -> None:
    if family.name in families:
        raise ValueError(f"{family.name} is declared already, in {families[family.name].module}.")
    if not all(_NAME.fullmatch(name) for name in (family.name, *family.labels)) or "le" in family.labels:
        raise ValueError(f"{family.name} or one of its labels {family.labels} is no name for Prometheus.")
    if family.name.endswith("_total") != (family.kind == "counter"):
        raise ValueError(f"{family.name}: a counter's name ends in _total, and no other's.")
    if family.kind == "histogram" and (not family.buckets or list(family.buckets) != sorted(set(family.buckets))):
        raise ValueError(f"{family.name}: the buckets' bounds must rise.")
    if family.cells > MOST_CELLS:
        raise ValueError(f"{family.name}: a histogram has {MOST_CELLS - 2} bounds at most.")


def _cleaned(value: object) -> str:
    """Return a label's value as text that is neither long nor unfit for UTF-8."""
    return str(value)[:_LONGEST_VALUE].encode(errors="replace").decode()
