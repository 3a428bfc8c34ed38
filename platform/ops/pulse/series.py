"""Series over the last hour, made of samples: rates, shares and percentiles of a minute each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from ops.pulse.sampling import Sample

Points = list[tuple[float, float | None]]  # a moment, and the value then; None where there is none

_WINDOW_SECONDS = 60.0
_LONGEST_GAP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing to look at. `least_top` is the least that the scale reaches up to, so that noise looks like noise."""

    key: str
    title: str
    unit: str  # rate, share, seconds or count
    about: str
    points: Points
    least_top: float

    @property
    def now(self) -> float | None:
        """The latest value; None where there is none."""
        return self.points[-1][1] if self.points else None

    @property
    def most(self) -> float | None:
        """The greatest value of the hour."""
        return max((value for _, value in self.points if value is not None), default=None)


def signals(samples: Sequence[Sample]) -> list[Signal]:
    """Return what to look at, in the order in which to look."""

    def over(value: Callable[[Sample, Sample], float | None]) -> Points:
        return _over_windows(samples, value)

    def now(value: Callable[[Sample], float]) -> Points:
        return [(sample.at, value(sample)) for sample in samples]

    return [
        Signal("requests", "Requests", "rate", "without probes and scrapes", over(_rate("requests")), 1),
        Signal("errors", "Server errors", "share", "of the requests", over(_error_share), 0.01),
        Signal("p95", "Requests take, p95", "seconds", "95 of 100 take no longer", over(_p95("durations")), 0.1),
        Signal("tasks", "Tasks", "rate", "that ended, well or not", over(_rate("tasks")), 1),
        Signal("wait", "Tasks wait, p95", "seconds", "from when they are due", over(_p95("waits")), 0.1),
        Signal("dead", "Tasks given up", "count", "within a minute", over(_increase("dead")), 5),
        Signal("waiting", "Messages waiting", "count", "in all queues", now(lambda sample: sample.waiting), 5),
        Signal("events", "Ledger events", "rate", "changes, logins, denials, reads", over(_rate("events")), 1),
        Signal("sockets", "Open sockets", "count", "chat, notifications, tasks", now(lambda sample: sample.sockets), 5),
    ]


def _over_windows(samples: Sequence[Sample], value: Callable[[Sample, Sample], float | None]) -> Points:
    """Return a value for each sample, from the one that is a minute older; None after a gap or a new beginning."""
    points: Points = []
    first = 0
    for index in range(1, len(samples)):
        end = samples[index]
        if end.at - samples[index - 1].at > _LONGEST_GAP_SECONDS:
            first = index
        while first < index - 1 and end.at - samples[first + 1].at >= _WINDOW_SECONDS:
            first += 1
        is_comparable = first < index and end.requests >= samples[first].requests
        if first < index and not is_comparable:
            first = index  # the counts began anew
        points.append((end.at, value(samples[first], end) if is_comparable else None))
    return points


def _increase(name: str) -> Callable[[Sample, Sample], float | None]:
    def increase(begin: Sample, end: Sample) -> float:
        return max(0.0, float(getattr(end, name)) - float(getattr(begin, name)))

    return increase


def _rate(name: str) -> Callable[[Sample, Sample], float | None]:
    increase = _increase(name)

    def rate(begin: Sample, end: Sample) -> float | None:
        return (increase(begin, end) or 0.0) / (end.at - begin.at)

    return rate


def _error_share(begin: Sample, end: Sample) -> float | None:
    requests = end.requests - begin.requests
    return min(1.0, max(0.0, end.errors - begin.errors) / requests) if requests > 0 else None


def _p95(name: str) -> Callable[[Sample, Sample], float | None]:
    def p95(begin: Sample, end: Sample) -> float | None:
        before: dict[str, float] = getattr(begin, name)
        after: dict[str, float] = getattr(end, name)
        counts = sorted((float(bound), count - before.get(bound, 0.0)) for bound, count in after.items())
        return quantile(0.95, counts)

    return p95


def quantile(q: float, buckets: Sequence[tuple[float, float]]) -> float | None:
    """Return a quantile of a histogram as Prometheus does: straight within a bucket; None where nothing was counted."""
    if not buckets or buckets[-1][1] <= 0:
        return None
    wanted = q * buckets[-1][1]
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted:
            if bound == inf:
                return lower
            return lower + (bound - lower) * ((wanted - below) / (count - below) if count > below else 1.0)
        lower, below = bound, count
    return lower
