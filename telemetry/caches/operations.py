"""One operation of a cache: its result, its duration, and its place in the running piece of work."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from time import perf_counter_ns
from typing import Any, NamedTuple

from telemetry.caches.key_templates import template_of
from telemetry.faults import FAULTS
from telemetry.metrics import counter, histogram
from telemetry.tracing.work import running

OPERATIONS = counter(
    "cache_operations_total",
    "Operations of caches. A look-up is a hit or a miss, of many keys a hit if all were there; all else is ok, or a"
    " miss where a key had to be there. An error is one also where the cache keeps it to itself.",
    ["cache_name", "operation", "result"],
)
DURATION = histogram(
    "cache_operation_duration_seconds",
    "Duration of caches' operations, without the making of the value that `get_or_set` sets.",
    ["cache_name", "operation"],
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
LOOKUPS = counter("cache_lookups_total", "Keys looked up, by their form.", ["cache_name", "key_template", "result"])
SETS = counter("cache_sets_total", "Keys set, by their form.", ["cache_name", "key_template"])

_LOOKUPS = frozenset({"get", "get_many", "get_or_set", "has_key"})
_SETS = frozenset({"add", "set", "set_many"})
_MOST_TEMPLATES = 5  # told of one operation on many keys

Count = Callable[[float], None]


class Outcome(NamedTuple):
    """What operations of one kind, with one result, on keys of one template have in common."""

    add: Count
    add_key: Count | None  # where keys are counted, and it's about one
    attributes: dict[str, Any]  # of the span


class Operation:
    """One operation of one cache, such as `get` of `default`."""

    __slots__ = ("_system", "cache_name", "is_lookup", "is_set", "name", "observe", "outcome", "span_name")

    def __init__(self, cache_name: str, system: str, name: str) -> None:
        self.cache_name = cache_name
        self._system = system
        self.name = name
        self.span_name = f"cache {name}"
        self.is_lookup = name in _LOOKUPS
        self.is_set = name in _SETS
        # Looked up once for each kind, and not for each operation.
        self.observe: Count = DURATION.labels(cache_name, name).observe
        self.outcome = lru_cache(maxsize=1_024)(self._outcome)

    def count_of(self, template: str, result: str) -> Count | None:
        """Return what counts keys of one template; None where they aren't counted."""
        if result == "error":
            return None
        if self.is_lookup:
            return LOOKUPS.labels(self.cache_name, template, result).inc
        return SETS.labels(self.cache_name, template).inc if self.is_set else None

    def _outcome(self, result: str, template: str, is_single: bool) -> Outcome:
        attributes: dict[str, Any] = {
            "db.system.name": self._system,
            "cache.name": self.cache_name,
            "cache.operation": self.name,
        }
        if template:
            attributes["cache.key_template"] = template
        if self.is_lookup and result != "error":
            attributes["cache.hit"] = result == "hit"
        count = OPERATIONS.labels(self.cache_name, self.name, result).inc
        return Outcome(count, self.count_of(template, result) if is_single else None, attributes)


class OperationCall:
    """One operation under way, about `keys`.

    `error_type` is set where it failed, `has_missed` where a key wasn't there. `default` is what the caller wants then.
    `others_ns` and `others_error` are of what ran within it and isn't the cache's: the making of a value.
    """

    __slots__ = ("begun_ns", "default", "error_type", "has_missed", "keys", "operation", "others_error", "others_ns")

    def __init__(self, operation: Operation, keys: Collection[Any]) -> None:
        self.operation = operation
        self.keys = keys
        self.default: Any = None
        self.error_type = ""
        self.has_missed = False
        self.others_error: BaseException | None = None
        self.others_ns = 0
        self.begun_ns = perf_counter_ns()

    def end(self, found: Iterable[Any] | None = None) -> None:
        """Note it. `found` are those of its keys that were there, where it looked up many."""
        ended_ns = perf_counter_ns()
        try:
            if found is None and len(self.keys) == 1:
                (key,) = self.keys
                outcome = self.operation.outcome(self._result(), template_of(key), True)
                if outcome.add_key is not None:
                    outcome.add_key(1)
            else:
                outcome = self._outcome_of_many(None if found is None else set(found))
            self._note(ended_ns, outcome)
        except Exception:
            FAULTS.labels("cache").inc()

    def _result(self) -> str:
        if self.error_type:
            return "error"
        if self.has_missed:
            return "miss"
        return "hit" if self.operation.is_lookup else "ok"

    def _outcome_of_many(self, found: set[Any] | None) -> Outcome:
        result = self._result()
        if found is None:
            counts = Counter((template_of(key), result) for key in self.keys)
        else:
            counts = Counter((template_of(key), "hit" if key in found else "miss") for key in self.keys)
            result = "miss" if any(told == "miss" for _template, told in counts) else "hit"
        for (template, told), number in counts.items():
            if (count := self.operation.count_of(template, told)) is not None:
                count(number)
        templates = sorted({template for template, _told in counts})
        return self.operation.outcome(result, ", ".join(templates[:_MOST_TEMPLATES]), False)

    def _note(self, ended_ns: int, outcome: Outcome) -> None:
        operation, error_type = self.operation, self.error_type
        own_ns = ended_ns - self.begun_ns - self.others_ns
        outcome.add(1)
        operation.observe(own_ns / 1e9)
        work = running()
        if work is None:
            return
        work.cache_operations += 1
        work.cache_ns += own_ns
        if outcome.attributes.get("cache.hit"):
            work.cache_hits += 1
        varying = {"error.type": error_type} if error_type else None
        work.add_leaf(operation.span_name, self.begun_ns, ended_ns, outcome.attributes, varying, error_type=error_type)
