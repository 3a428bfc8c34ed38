"""What is declared of a metric."""

from dataclasses import dataclass

_UNITS = ("seconds", "bytes", "ratio", "celsius")


@dataclass(frozen=True)
class Family:
    """What is declared of a metric. `buckets` are a histogram's upper bounds without the infinite one."""

    name: str
    kind: str  # counter, gauge or histogram
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]
    most_series: int
    module: str

    @property
    def unit(self) -> str:
        """The base unit that the name ends in; empty where it counts things."""
        return unit_of(self.name)

    @property
    def cells(self) -> int:
        """How many cells a series takes: a histogram's sum, its buckets and the infinite one, else one."""
        return len(self.buckets) + 2 if self.kind == "histogram" else 1

    @property
    def other(self) -> tuple[str, ...]:
        """The values of the labels of the series for all that is too much."""
        return ("_OTHER",) * len(self.labels)


def unit_of(name: str) -> str:
    """Return the base unit that a metric's name ends in; empty where it counts things."""
    last = name.removesuffix("_total").rpartition("_")[2]
    return last if last in _UNITS else ""
