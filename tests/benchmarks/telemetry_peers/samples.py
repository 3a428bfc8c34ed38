"""What a turn of one variant gave, and what a run of turns comes to."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """One turn: how many a second, how long one took, and the processor time of one in the watched process."""

    rate: float
    processor_us: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    delay_us: float = 0.0  # of one `.delay()`


@dataclass
class Evidence:
    """What the variant must have told of its work in all turns, and what it did tell."""

    units: int
    spans: int = 0
    lines: int | None = None  # None where the variant writes none
    counted: int | None = None  # by its metrics; None where it has none


def quantile_ms(latencies: Sequence[float], share: float) -> float:
    """Return a quantile of latencies in seconds, in milliseconds."""
    ordered = sorted(latencies)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> float:
    """Return half of the distance between the quartiles."""
    if len(values) < 2:
        return 0.0
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return (third - first) / 2
