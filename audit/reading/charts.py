"""Figures as bars: where each stands, in per cent of the drawing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; places and sizes are per cent of the drawing's width and height."""

    label: str
    count: int
    query: str
    left: float
    width: float
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars side by side, and how many the highest stands for."""

    bars: tuple[Bar, ...]
    highest: int
    total: int

    @property
    def first(self) -> Bar:
        return self.bars[0]

    @property
    def last(self) -> Bar:
        return self.bars[-1]


def bars(counts: Sequence[tuple[str, int, str]]) -> Chart | None:
    """Return a chart of `(label, count, query)`; None where there's nothing to draw."""
    highest = max((count for _, count, _ in counts), default=0)
    if not highest:
        return None
    width = 100 / len(counts)
    drawn = []
    for place, (label, count, query) in enumerate(counts):
        # What is there at all can be seen.
        height = max(100 * count / highest, 3) if count else 0
        drawn.append(Bar(label, count, query, round(place * width, 3), round(width * 0.8, 3), 100 - height, height))
    return Chart(tuple(drawn), highest, sum(count for _, count, _ in counts))


def each_day(counted: Mapping[str, int], first: date, last: date) -> list[tuple[str, int]]:
    """Return the count of each day from `first` to `last`, also of those without any."""
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [(day.isoformat(), counted.get(day.isoformat(), 0)) for day in days]
