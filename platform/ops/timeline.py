"""The time axis of a waterfall. Long stretches in which nothing ran are squeezed, so that the rest can be seen."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

# A pause that is longer than all the work together would leave none of the work to see.
_SQUEEZED_FROM = 1.0
_SQUEEZED_TO = 0.08  # of the time that something ran
_LEAST_MS = 1.0


@dataclass(frozen=True, slots=True)
class Pause:
    """A squeezed stretch: where it's drawn, in percent of the axis, and how long it was."""

    left: float
    width: float
    duration_ms: float


class Timeline:
    """Maps milliseconds since the beginning to percent of the axis."""

    def __init__(self, intervals: Iterable[tuple[float, float]]) -> None:
        """Make an axis for what ran from and to these times, in milliseconds."""
        busy = _merged(intervals)
        self.total_ms = busy[-1][1] if busy else 0.0
        active = sum(end - begin for begin, end in busy)
        longest = max(_LEAST_MS, active * _SQUEEZED_FROM)
        self._times, self._places = [0.0], [0.0]
        pauses: list[tuple[float, float, float]] = []
        before = 0.0
        for begin, end in busy:
            gap = begin - before
            drawn = active * _SQUEEZED_TO if gap > longest else gap
            if gap > longest:
                pauses.append((self._places[-1], drawn, gap))
            self._add(begin, drawn)
            self._add(end, end - begin)
            before = end
        self._width = self._places[-1]
        self.pauses = [Pause(self._percent(place), self._percent(drawn), gap) for place, drawn, gap in pauses]

    def place(self, milliseconds: float) -> float:
        """Return where a time is drawn, in percent of the axis."""
        index = bisect_right(self._times, milliseconds) - 1
        if index < 0:
            return 0.0
        if index >= len(self._times) - 1:
            return 100.0 if self._width else 0.0
        begin, end = self._times[index], self._times[index + 1]
        left, right = self._places[index], self._places[index + 1]
        return self._percent(left + (right - left) * (milliseconds - begin) / (end - begin))

    def _add(self, time: float, width: float) -> None:
        if time > self._times[-1]:
            self._times.append(time)
            self._places.append(self._places[-1] + width)

    def _percent(self, place: float) -> float:
        return 100 * place / self._width if self._width else 0.0


def _merged(intervals: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for begin, end in sorted(intervals):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged
