"""How long questions take, and what the server does for their answers."""

import gc
import json
import re
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

Call = Callable[[], Any]
_SLOW_SECONDS = 0.5
_LARGE_ROWS = 10_000
# An index of a partition is named after it.
_PARTITION = re.compile(r"^(audit_event|auditlog_logentry)_(\d{4}_\d\d_|default_)?|_idx$")


@dataclass
class Times:
    """What several calls took."""

    milliseconds: list[float] = field(default_factory=list)
    given_up: int = 0  # that ended without an answer, since it took too long

    @property
    def p50(self) -> float:
        return statistics.median(self.milliseconds)

    @property
    def p95(self) -> float:
        if len(self.milliseconds) < 2:
            return self.milliseconds[0]
        return statistics.quantiles(self.milliseconds, n=20, method="inclusive")[18]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for a program."""
        return {
            "p50_ms": round(self.p50, 2),
            "p95_ms": round(self.p95, 2),
            "calls": len(self.milliseconds),
            "given_up": self.given_up,
        }


def timed(
    calls: Sequence[Call],
    *,
    seconds: float,
    before: Call = lambda: None,
    too_long: type[Exception] = psycopg.errors.QueryCanceled,
) -> Times:
    """Call each once, until `seconds` have passed, and return what each took; up to three more calls warm up.

    Args:
        before: called before each, and not timed.
        too_long: what a call raises that was given up.
    """
    for call in calls[-3:]:
        before()
        begun = time.perf_counter()
        _answered(call, too_long)
        if time.perf_counter() - begun > _SLOW_SECONDS:
            break
    times = Times()
    gc.collect()
    deadline = time.monotonic() + seconds
    for call in calls:
        before()
        begun = time.perf_counter()
        is_answered = _answered(call, too_long)
        times.milliseconds.append((time.perf_counter() - begun) * 1e3)
        times.given_up += not is_answered
        if time.monotonic() > deadline:
            break
    return times


def _answered(call: Call, too_long: type[Exception]) -> bool:
    try:
        call()
    except too_long:
        return False
    return True


@dataclass
class Plans:
    """How the server found the answers: by which indexes, and which large tables it read from end to end."""

    ways: list[str] = field(default_factory=list)
    large_scans: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    planning_ms: float = 0  # the longest that a statement was planned for

    def add(self, other: "Plans") -> None:
        """Take over what `other` has and this hasn't."""
        for mine, theirs in ((self.ways, other.ways), (self.large_scans, other.large_scans)):
            mine += [one for one in theirs if one not in mine]
        self.texts += other.texts
        self.planning_ms = max(self.planning_ms, other.planning_ms)


def plans_of(statements: Iterable[str], explainer: psycopg.Connection) -> Plans:
    """Run each statement again with EXPLAIN ANALYZE; without ANALYZE where that takes longer than ten seconds.

    What the plan holds and the execution never came to isn't counted.
    """
    plans = Plans()
    explainer.execute("SET statement_timeout = '10s'")
    for statement in statements:
        try:
            row = explainer.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}").fetchone()
        except psycopg.errors.QueryCanceled:
            row = explainer.execute(f"EXPLAIN (SUMMARY, FORMAT JSON) {statement}").fetchone()
        assert row
        for node in _nodes(row[0][0]["Plan"]):
            _look_at(node, plans, explainer)
        plans.texts.append(json.dumps(row[0][0]))
        plans.planning_ms = max(plans.planning_ms, row[0][0].get("Planning Time", 0))
    return plans


def _look_at(node: dict[str, Any], plans: Plans, explainer: psycopg.Connection) -> None:
    if node.get("Actual Loops") == 0:
        return
    if node["Node Type"] == "Seq Scan":
        rows = explainer.execute(
            "SELECT reltuples FROM pg_class WHERE relname = %s", [node["Relation Name"]]
        ).fetchone()
        if rows and rows[0] > _LARGE_ROWS and node["Relation Name"] not in plans.large_scans:
            plans.large_scans.append(node["Relation Name"])
    elif "Index Name" in node:
        way = _PARTITION.sub("", node["Index Name"])
        if way not in plans.ways:
            plans.ways.append(way)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
