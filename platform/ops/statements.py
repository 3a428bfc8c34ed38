"""A story's SQL by kind of statement, so that the dear ones and the repeated ones stand out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ops.steps import Span, duration_ms, lane_of
from telemetry import conf
from telemetry.tracing.attributes import CALL_SITE, FINGERPRINT

_MOST_SITES = 3


@dataclass
class Kind:
    """One kind of statement: equal but for its values. Times in milliseconds."""

    fingerprint: str
    summary: str
    text: str
    count: int = 0
    total_ms: float = 0.0
    slowest_ms: float = 0.0
    slowest_key: str = ""
    rows: int = 0
    errors: int = 0
    repeats: int = 0  # how often it ran for one piece of work, at most
    is_query: bool = False
    is_statement: bool = True  # and not the end of a transaction, or the opening of a connection
    sites: list[tuple[str, int]] = field(default_factory=list)
    share: float = 0.0  # of the time of all statements, in percent

    @property
    def is_repeated(self) -> bool:
        """Whether it's an N+1: one query that ran too often for one piece of work."""
        return self.is_query and self.repeats > conf.repeats_allowed()


def by_kind(spans: Sequence[Span]) -> list[Kind]:
    """Return the kinds of statements among `spans`, the one that took the longest first."""
    kinds: dict[str, Kind] = {}
    sites: dict[str, Counter[str]] = {}
    works: dict[str, Counter[str]] = {}
    for span in spans:
        if lane_of(span) != "sql":
            continue
        attributes = span["attributes"]
        fingerprint = str(attributes.get(FINGERPRINT) or span["name"])
        kind = kinds.get(fingerprint)
        if kind is None:
            kind = kinds[fingerprint] = Kind(fingerprint, span["name"], str(attributes.get("db.query.text", "")))
            kind.is_query = attributes.get("db.operation.name") == "SELECT"
            kind.is_statement = bool(attributes.get("db.collection.name"))
            sites[fingerprint], works[fingerprint] = Counter(), Counter()
        took = duration_ms(span)
        kind.count += 1
        kind.total_ms += took
        kind.errors += span["status"] == "error"
        rows = attributes.get("db.response.returned_rows")
        kind.rows += rows if isinstance(rows, int) else 0
        if took >= kind.slowest_ms:
            kind.slowest_ms, kind.slowest_key = took, span["span_id"]
        works[fingerprint][span["parent_id"]] += 1
        if site := attributes.get(CALL_SITE):
            sites[fingerprint][str(site)] += 1
    whole = sum(kind.total_ms for kind in kinds.values())
    for kind in kinds.values():
        kind.repeats = max(works[kind.fingerprint].values())
        kind.sites = sites[kind.fingerprint].most_common(_MOST_SITES)
        kind.share = 100 * kind.total_ms / whole if whole else 0.0
    return sorted(kinds.values(), key=lambda kind: kind.total_ms, reverse=True)
