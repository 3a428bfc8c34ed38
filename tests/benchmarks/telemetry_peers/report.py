"""The figures as Markdown and as JSON."""

import json
from collections.abc import Callable
from dataclasses import asdict

from samples import Evidence, Sample, middle, spread
from variants import VARIANTS, WORK

Samples = dict[str, list[Sample]]  # by variant, round by round
MANY = {"request": "requests", "task": "tasks", "delivery": "deliveries"}


def ratios(samples: Samples, variant: str) -> list[float]:
    """Return the variant's rate over bare Django's, round by round."""
    return [mine.rate / bare.rate for mine, bare in zip(samples[variant], samples["bare"], strict=True)]


def added_us(samples: Samples, variant: str) -> list[float]:
    """Return the processor time that the variant adds to one unit of bare Django's, round by round."""
    pairs = zip(samples[variant], samples["bare"], strict=True)
    return [mine.processor_us - bare.processor_us for mine, bare in pairs]


def table(work: str, samples: Samples, evidence: dict[str, Evidence]) -> str:
    """Return one piece of work as a Markdown table, with a row for each variant."""
    unit = WORK[work].unit
    columns: list[tuple[str, Callable[[str], str]]] = [
        (f"{MANY[unit]}/s", lambda one: f"{_of(samples[one], 'rate'):,.0f}"),
        ("over bare", lambda one: _with_spread(ratios(samples, one), ".2f")),
        (f"CPU a {unit}", lambda one: f"{_of(samples[one], 'processor_us'):,.0f} µs"),
        ("added", lambda one: "" if one == "bare" else f"{_with_spread(added_us(samples, one), ',.0f')} µs"),
    ]
    if work == "celery":
        columns.append(("one `.delay()`", lambda one: f"{_of(samples[one], 'delay_us'):,.0f} µs"))
    else:
        columns.append(("p50", lambda one: f"{_of(samples[one], 'p50_ms'):.1f} ms"))
        columns.append(("p99", lambda one: f"{_of(samples[one], 'p99_ms'):.1f} ms"))
    told = "broadcast" if work == "broadcast" else unit
    columns.append((f"spans a {told}", lambda one: f"{evidence[one].spans / evidence[one].units:.2f}"))
    columns.append(("to reach", lambda one: _verdict(work, one, samples)))
    lines = [
        "| | " + " | ".join(heading for heading, _ in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for one in samples:
        lines.append(f"| {VARIANTS[one].heading} | " + " | ".join(cell(one) for _, cell in columns) + " |")
    return "\n".join(lines)


def as_json(about: str, rounds: int, works: dict[str, tuple[Samples, dict[str, Evidence]]]) -> str:
    """Return all that was measured, round by round."""
    told = {
        work: {
            one: {
                "ratio": round(middle(ratios(samples, one)), 4),
                "spread": round(spread(ratios(samples, one)), 4),
                "added_us": round(middle(added_us(samples, one)), 1),
                "rounds": [{key: round(value, 3) for key, value in asdict(sample).items()} for sample in taken],
                "evidence": asdict(evidence[one]),
            }
            for one, taken in samples.items()
        }
        for work, (samples, evidence) in works.items()
    }
    return json.dumps({"machine": about, "rounds": rounds, "work": told}, indent=1)


def _of(samples: list[Sample], name: str) -> float:
    return middle([getattr(sample, name) for sample in samples])


def _with_spread(values: list[float], form: str) -> str:
    return f"{middle(values):{form}} ±{spread(values):{form}}"


def _verdict(work: str, variant: str, samples: Samples) -> str:
    if variant not in WORK[work].to_reach:
        return ""
    to_reach = WORK[work].to_reach[variant]
    is_reached = round(middle(ratios(samples, variant)), 2) >= to_reach
    return f"{to_reach:.2f}: {'reached' if is_reached else '**missed**'}"
