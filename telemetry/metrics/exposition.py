"""What a scrape gets: all processes' metrics as text, in OpenMetrics 1.0 or in Prometheus' own format."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import inf, isfinite
from operator import add
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, Metric, generate_latest, samples, utils
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import REGISTRY, Collector

from telemetry.metrics.exemplars import Exemplar
from telemetry.metrics.families import unit_of
from telemetry.metrics.scrape import FamilyRead, Layout, Pairs, Reader, Reading
from telemetry.metrics.store import store

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
_LINE_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})
_VALUE_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

_reader = Reader(store)


def text(*, is_openmetrics: bool) -> bytes:
    """Return all metrics; exemplars are in OpenMetrics alone."""
    reading = _reader.read(with_exemplars=is_openmetrics)
    rendering = reading.layout.rendered.get(is_openmetrics)
    if rendering is None:
        rendering = reading.layout.rendered[is_openmetrics] = _Rendering(reading.layout, is_openmetrics=is_openmetrics)
    lines = rendering.lines(reading)
    rest = b""
    if store.directory is None:  # what libraries count by themselves, which no other process would read
        generate: Any = generate_openmetrics if is_openmetrics else generate_latest
        rest = generate(REGISTRY)
    elif is_openmetrics:
        rest = b"# EOF\n"
    return "".join(lines).encode() + rest


def exposed_registry() -> CollectorRegistry:
    """Return what a scrape reads: this machine's processes together, or this process where no folder is shared."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector())
    return registry


class _Rendering:
    """The lines of a layout but for their numbers."""

    def __init__(self, layout: Layout, *, is_openmetrics: bool) -> None:
        self._families = layout.families
        self._begins: list[str] = []  # of each line, up to its number, with a family's head where one begins
        self._line_of: dict[int, int] = {}  # by the number that an exemplar may belong to
        for family in layout.families:
            head = _head(family, is_openmetrics=is_openmetrics)
            for name, labels, number in _lines_of(family):
                if number is not None:
                    self._line_of[number] = len(self._begins)
                self._begins.append(f"{head}{name}{_braced(labels)} ")
                head = ""

    def lines(self, reading: Reading) -> list[str]:
        """Return the lines with their numbers."""
        values = list(_values(self._families, reading.numbers))
        written = map(repr, values) if isfinite(sum(values)) else map(_number, values)
        if not reading.exemplars:
            return [f"{begin}{value}\n" for begin, value in zip(self._begins, written, strict=True)]
        lines = list(map(add, self._begins, written))
        for number, exemplar in reading.exemplars.items():
            line = self._line_of.get(number)
            if line is not None:
                lines[line] += _exemplar(exemplar)
        return [f"{line}\n" for line in lines]


class _Collector(Collector):
    def collect(self) -> Iterator[Metric]:
        reading = _reader.read(with_exemplars=True)
        values = _values(reading.layout.families, reading.numbers)
        for family in reading.layout.families:
            metric = Metric(family.name.removesuffix("_total"), family.help, family.kind)
            for name, labels, number in _lines_of(family):
                found = reading.exemplars.get(number) if number is not None else None
                metric.add_sample(name, dict(labels), next(values), exemplar=_as_sample(found))
            yield metric
        if store.directory is None:
            yield from REGISTRY.collect()


def _lines_of(family: FamilyRead) -> Iterator[tuple[str, Pairs, int | None]]:
    """Give each line's name and labels, and the number whose exemplar is told on it."""
    if family.kind != "histogram":
        for series in family.series:
            yield family.name, series.labels, series.first if family.kind == "counter" else None
        return
    bounds = [_number(bound) for bound in (*family.bounds, inf)]
    for series in family.series:
        for number, bound in enumerate(bounds):
            yield f"{family.name}_bucket", (*series.labels, ("le", bound)), series.first + number
        yield f"{family.name}_count", series.labels, None
        yield f"{family.name}_sum", series.labels, None


def _values(families: Iterable[FamilyRead], numbers: list[float]) -> Iterator[float]:
    """Give the number of each line, in the order of `_lines_of`: a histogram's buckets are cumulated here."""
    for family in families:
        first = family.series[0].first
        if family.kind != "histogram":
            yield from numbers[first : first + len(family.series)]
            continue
        buckets = len(family.bounds) + 1
        for series in family.series:
            cumulated = list(accumulate(numbers[series.first : series.first + buckets]))
            yield from cumulated
            yield cumulated[-1]
            yield numbers[series.first + buckets]


def _head(family: FamilyRead, *, is_openmetrics: bool) -> str:
    name = family.name.removesuffix("_total") if is_openmetrics else family.name
    escapes = _VALUE_ESCAPES if is_openmetrics else _LINE_ESCAPES
    head = f"# HELP {name} {family.help.translate(escapes)}\n# TYPE {name} {family.kind}\n"
    if is_openmetrics and (unit := unit_of(family.name)):
        head += f"# UNIT {name} {unit}\n"
    return head


def _number(value: float) -> str:
    return str(utils.floatToGoString(value))  # type: ignore[no-untyped-call]


def _braced(labels: Pairs) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_VALUE_ESCAPES)}"' for name, value in labels) + "}"


def _exemplar(exemplar: Exemplar) -> str:
    labels = _braced(tuple(orjson.loads(exemplar.labels).items()))
    return f" # {labels} {_number(exemplar.value)} {exemplar.seconds:.3f}"


def _as_sample(exemplar: Exemplar | None) -> samples.Exemplar | None:
    if exemplar is None:
        return None
    return samples.Exemplar(orjson.loads(exemplar.labels), exemplar.value, exemplar.seconds)
