"""What a scrape gets: all processes' metrics, as prometheus_client's collectors give them to its encoders."""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import inf

import orjson
from prometheus_client import CollectorRegistry, Metric, samples, utils
from prometheus_client.registry import REGISTRY, Collector

from telemetry.metrics import clients
from telemetry.metrics.exemplars import Exemplar
from telemetry.metrics.family import unit_of
from telemetry.metrics.scrape import FamilyRead, Pairs, Reader
from telemetry.metrics.store import store

_reader = Reader(store)


def exposed_registry() -> CollectorRegistry:
    """Return what a scrape reads: this machine's processes together, or this process where no folder is shared."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector())
    return registry


class _Collector(Collector):
    def collect(self) -> Iterator[Metric]:
        reading = _reader.read(with_exemplars=True)
        values = _values(reading.layout.families, reading.numbers)
        for family in reading.layout.families:
            metric = Metric(family.name.removesuffix("_total"), family.help, family.kind, unit_of(family.name))
            for name, labels, number in _lines_of(family):
                found = reading.exemplars.get(number) if number is not None else None
                metric.samples.append(samples.Sample(name, labels, next(values), None, _as_sample(found), None))
            yield metric
        # What others count by prometheus_client itself.
        yield from REGISTRY.collect() if store.directory is None else clients.collect(store)


def _lines_of(family: FamilyRead) -> Iterator[tuple[str, dict[str, str], int | None]]:
    """Give each line's name and labels, and the number whose exemplar is told on it."""
    if family.kind != "histogram":
        for series in family.series:
            yield family.name, dict(series.labels), series.first if family.kind == "counter" else None
        return
    bounds: list[Pairs] = [(("le", _number(bound)),) for bound in (*family.bounds, inf)]
    for series in family.series:
        for number, bound in enumerate(bounds):
            yield f"{family.name}_bucket", dict((*series.labels, *bound)), series.first + number
        yield f"{family.name}_count", dict(series.labels), None
        yield f"{family.name}_sum", dict(series.labels), None


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


def _number(value: float) -> str:
    return str(utils.floatToGoString(value))  # type: ignore[no-untyped-call]


def _as_sample(exemplar: Exemplar | None) -> samples.Exemplar | None:
    if exemplar is None:
        return None
    return samples.Exemplar(orjson.loads(exemplar.labels), exemplar.value, exemplar.seconds)
