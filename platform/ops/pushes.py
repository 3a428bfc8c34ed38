"""A story's pushes to sockets: what was sent to which group, and what became of it at each socket."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ops.steps import Span, parents

_BINS = 40
_MOST_TICKS = 400
_FIGURES = ("first", "median", "p99", "last")


@dataclass
class Bin:
    """One column of the histogram of deliveries, in percent of the drawing."""

    left: float
    width: float
    top: float
    height: float
    count: int


@dataclass
class Push:
    """One message to a channel or a group. Latencies in milliseconds, from its sending to its delivery."""

    key: str
    type: str
    group: str
    sender: str  # the process
    begin_ms: float
    recipients: int = 0
    delivered: int = 0
    failed: int = 0
    dropped: int = 0
    gone: int = 0  # sockets that closed meanwhile
    latencies: list[float] = field(default_factory=list)  # of single deliveries, as far as they were kept
    slowest: list[str] = field(default_factory=list)  # the handlers that took longest, in words
    figures: dict[str, float] = field(default_factory=dict)  # first, median, p99, last
    user_ids: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    was_sent: bool = True
    was_received: bool = False  # by a process that has sockets

    @property
    def sockets(self) -> int:
        """How many sockets should have had it: those whose handlers were called, and those that were dropped."""
        return self.recipients + self.dropped

    @property
    def is_missing(self) -> bool:
        """Whether no socket is known to have had it."""
        return not self.was_received

    @property
    def lost(self) -> int:
        """How many sockets should have had it, and didn't."""
        return self.failed + self.dropped

    @property
    def slowest_ms(self) -> float:
        """The end of the axis of deliveries."""
        return max([*self.latencies, self.figures.get("last", 0.0)], default=0.0)

    @property
    def ticks(self) -> str:
        """A path with a stroke for each delivery, on an axis of 1,000."""
        whole = self.slowest_ms or 1.0
        return "".join(f"M{1_000 * one / whole:.1f} 0v1" for one in sorted(self.latencies)[:_MOST_TICKS])

    @property
    def marks(self) -> list[float]:
        """Where half and nearly all of all deliveries were over, in percent of the axis."""
        whole = self.slowest_ms or 1.0
        return [100 * self.figures[name] / whole for name in ("median", "p99") if name in self.figures]

    @property
    def bins(self) -> list[Bin]:
        """The histogram of the deliveries; none where there are few."""
        if len(self.latencies) < 2:
            return []
        whole = self.slowest_ms or 1.0
        counts = [0] * _BINS
        for one in self.latencies:
            counts[min(_BINS - 1, int(_BINS * one / whole))] += 1
        most, width = max(counts), 100 / _BINS
        return [
            Bin(place * width, width * 0.9, 100 - 100 * count / most, 100 * count / most, count)
            for place, count in enumerate(counts)
            if count
        ]


def pushes_of(spans: Sequence[Span], begin_ns: int) -> list[Push]:
    """Return the pushes of a story in the order in which they were sent, with what their deliveries tell."""
    above = parents(spans)
    pushes: dict[str, Push] = {}
    for span in spans:
        if span["attributes"].get("messaging.system") == "channels" and span["kind"] == "producer":
            push = pushes[span["span_id"]] = _push(span, begin_ns)
            push.was_sent = span["status"] != "error"
            push.sender = span["process"]
            push.dropped = int(_number(span, "channels.dropped") or 0)
    for span in spans:
        if span["attributes"].get("messaging.system") == "channels" and span["kind"] == "consumer":
            cause = above[span["span_id"]]
            if cause not in pushes:  # its sending was lost on the way here
                cause = f"{span['parent_id']} {span['name']}"
            _add(pushes.setdefault(cause, _push(span, begin_ns)), span, begin_ns)
    for push in pushes.values():
        _sum_up(push)
    return sorted(pushes.values(), key=lambda push: push.begin_ms)


def _push(span: Span, begin_ns: int) -> Push:
    attributes = span["attributes"]
    return Push(
        key=span["span_id"],
        type=str(attributes.get("messaging.message.type") or span["name"].partition(" ")[2]),
        group=str(attributes.get("messaging.destination.name") or ""),
        sender="",
        begin_ms=(span["start_ns"] - begin_ns) / 1e6,
    )


def _add(push: Push, span: Span, begin_ns: int) -> None:
    """Add what one receiving process tells: of all its sockets in one span, or of one socket."""
    attributes = span["attributes"]
    push.was_received = True
    if span["process"] and span["process"] not in push.processes:
        push.processes.append(span["process"])
    recipients = _number(span, "broadcast.recipients")
    if recipients is None:
        has_failed = span["status"] == "error"
        push.recipients += 1
        push.failed += has_failed
        push.delivered += not has_failed
        latency = _number(span, "messaging.delivery_latency_ms")
        push.latencies.append((span["start_ns"] - begin_ns) / 1e6 - push.begin_ms if latency is None else latency)
    else:
        push.recipients += int(recipients)
        push.delivered += int(_number(span, "broadcast.delivered") or 0)
        push.failed += int(_number(span, "broadcast.failed") or 0)
        push.dropped += int(_number(span, "broadcast.dropped") or 0)
        push.gone += int(_number(span, "broadcast.cancelled") or 0)
        push.latencies += [float(one) for one in _list(span, "broadcast.latencies_ms") if isinstance(one, int | float)]
        push.slowest += [str(one) for one in _list(span, "broadcast.slowest")]
        _add_figures(push, span)
    users = _list(span, "broadcast.recipient_ids") or [attributes.get("recipient.user.id")]
    push.user_ids += [one for one in dict.fromkeys(str(user) for user in users if user) if one not in push.user_ids]


def _add_figures(push: Push, span: Span) -> None:
    """Of several processes the first of all, and otherwise the worst."""
    for name in _FIGURES:
        if (value := _number(span, f"broadcast.latency.{name}_ms")) is not None:
            known = push.figures.get(name, value)
            push.figures[name] = min(known, value) if name == "first" else max(known, value)


def _sum_up(push: Push) -> None:
    if not push.latencies:
        return
    ordered = sorted(push.latencies)
    told = (ordered[0], median(ordered), ordered[(len(ordered) - 1) * 99 // 100], ordered[-1])
    for name, value in zip(_FIGURES, told, strict=True):
        push.figures.setdefault(name, value)


def _number(span: Span, key: str) -> float | None:
    value = span["attributes"].get(key)
    return value if isinstance(value, int | float) else None


def _list(span: Span, key: str) -> list[Any]:
    value = span["attributes"].get(key)
    return value if isinstance(value, list) else []
