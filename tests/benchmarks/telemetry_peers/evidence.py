"""What a variant left behind: a benchmark of a library that silently told nothing would flatter it."""

import re
from pathlib import Path

from environment import Environment
from samples import Evidence
from variants import VARIANTS, parts_of


def lines_with(file: Path, *phrases: str) -> int:
    """Return how many lines of a log hold all phrases."""
    if not file.exists():
        return 0
    with file.open("rb") as lines:
        wanted = [phrase.encode() for phrase in phrases]
        return sum(all(phrase in line for phrase in wanted) for line in lines)


def total_of(metrics: str, name: str, *labels: str) -> int:
    """Return the sum of a metric's samples in Prometheus' text that have all of the labels, as `route="/"`."""
    total = 0.0
    for line in metrics.splitlines():
        match = re.match(rf"{name}(?:{{(.*)}})? (\S+)", line)
        if match and all(label in (match[1] or "") for label in labels):
            total += float(match[2])
    return round(total)


def spans_of(environment: Environment, variant: str, work: str, metrics: str) -> int:
    """Return how many spans left the variant's processes."""
    parts = parts_of(variant, work)
    if "telemetry" in parts:
        return total_of(metrics, "telemetry_spans_exported_total", 'exporter="RecentSpans"')
    if "otlp" in parts:
        return environment.spans_in_sink().get(f"{work}-{variant}", 0)
    tally = environment.tally_of(variant, work)
    return sum(map(int, tally.read_text().split())) if tally.exists() else 0


def hold(variant: str, work: str, evidence: Evidence) -> None:
    """Hold that each unit of work was logged and counted once, and that spans came if they were to come.

    Raises SystemExit: something is missing, or is too much.
    """
    name = f"{variant} ({work})"
    for what, found in (("wrote {:,} lines", evidence.lines), ("counted {:,}", evidence.counted)):
        if found is not None and found != evidence.units:
            raise SystemExit(f"{name} {what.format(found)} for {evidence.units:,} pieces of work.")
    parts = parts_of(variant, work)
    ratio = VARIANTS[variant].ratio if parts & {"telemetry", "otel", "logfire"} else 0.0
    goes_nowhere = VARIANTS[variant].settings.get("TELEMETRY_REDIS_URL") == ""
    if goes_nowhere:
        return
    if (ratio > 0) != (evidence.spans > 0):
        raise SystemExit(f"{name} gave {evidence.spans:,} spans for {evidence.units:,} pieces of work.")
