"""Which traces are recorded: decided at their heads by rule; errors and slow work are kept all the same."""

import re
from fnmatch import translate
from functools import cache, lru_cache

from opentelemetry.trace import SpanContext

from telemetry import conf

_MASK = (1 << 64) - 1  # as OpenTelemetry's TraceIdRatioBased takes the lower half, which is the random one


def is_sampled(parent: SpanContext | None, trace_id: int, origin: str, name: str) -> bool:
    """Whether a piece of work is recorded: as its parent is, or else by the first rule that fits, or the ratio.

    `name` is what is known at the beginning: the path of a request, the name of a task, a socket's route.
    """
    if parent is not None:
        return parent.trace_flags.sampled
    return (trace_id & _MASK) < _bound(origin, name)


@lru_cache(maxsize=4_096)
def _bound(origin: str, name: str) -> int:
    return round(ratio_of(origin, name) * (_MASK + 1))


def ratio_of(origin: str, name: str) -> float:
    """Return the share of new traces that is recorded, by `TELEMETRY_SAMPLING_RULES`, else `TELEMETRY_SAMPLE_RATIO`."""
    described = f"{origin} {name}"
    return next((ratio for form, ratio in _rules() if form.fullmatch(described)), conf.sample_ratio())


@cache
def _rules() -> list[tuple[re.Pattern[str], float]]:
    return [(re.compile(translate(pattern)), ratio) for pattern, ratio in conf.sampling_rules()]


def forget() -> None:
    """Read the settings anew; for tests."""
    _rules.cache_clear()
    _bound.cache_clear()
