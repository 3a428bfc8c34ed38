"""The figures as Markdown and as JSON."""

import json
from dataclasses import dataclass, field
from typing import Any

from audit_queries_data.platform_queries import Answered
from audit_queries_data.searching import DEEP_PAGE, Measured
from audit_queries_data.sizes import GOAL_BYTES, Sizes
from audit_queries_data.timing import Plans, Times

SEARCH_GOAL_MS = 20.0
_COLUMNS = ("first newest", "first oldest", "deep newest", "deep oldest", "total")
_MOST_NAMED = 3
_CANT_BE_ASKED = {
    "trace": "no trace id",
    "transaction": "no transaction",
    "task": "no task",
    "outcome": "what was denied or failed isn't there",
    "origin": "not kept",
    "changed, changes, q": "by JSON look-ups and LIKE of one's own, no index",
    "a page that misses nothing and shows nothing twice while others write": "a page is an offset",
    "what came since": "as above",
    "as of a time": "to be put together from the entries by oneself",
}


@dataclass
class Results:
    """All that was measured."""

    about: dict[str, Any]
    searches: list[Measured] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    peer: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[Sizes] = field(default_factory=list)


def goal_of(measured: Measured) -> float | None:
    """Return the p95 that a search should keep to; None where no index is promised, or no time range is given."""
    return SEARCH_GOAL_MS if measured.has_range and measured.case.is_indexed else None


def markdown(results: Results) -> str:
    """Return the tables."""
    about = results.about
    lines = [
        f"{about['machine']}. {about['events']:,} events over 365 days, in {about['partitions']} partitions; "
        + ", ".join(f"{name} {value}" for name, value in about["settings"].items())
        + ".",
        "",
        "Milliseconds, p50 / p95, each question once with different values, after a warm-up. **Bold** misses its goal. "
        f"“Deep” is page {DEEP_PAGE:,}, or the last where there are fewer. “Gave up” is the search's own bound. "
        "In the last columns: the longest that a statement was planned for, which the figures contain; the indexes "
        "that served it, and **tables of over 10,000 rows read from end to end**.",
    ]
    for has_range, title in (
        (True, f"The search, within 30 days (goal: p95 {SEARCH_GOAL_MS:g} ms where a filter has an index)"),
        (False, "The search, at any time (no goal)"),
    ):
        lines += ["", f"### {title}", ""]
        lines += [
            "| filter | values | events | first page, newest | oldest | deep, newest | oldest | total | planning | by |"
        ]
        lines += ["|---" * 10 + "|"]
        lines += [_search_row(one) for one in results.searches if one.has_range == has_range]
    lines += ["", "### Other questions", "", "| | question | p50 / p95 | goal | planning | by |", "|---" * 6 + "|"]
    lines += [_answer_row(one) for one in results.answers]
    if results.peer:
        lines += ["", *_beside_peer(results)]
    lines += ["", *_size_tables(results.sizes)]
    missed = _missed(results)
    lines += ["", "Goals missed: " + ("; ".join(missed) if missed else "none") + "."]
    return "\n".join(lines)


def _search_row(measured: Measured) -> str:
    case, goal = measured.case, goal_of(measured)
    usual = "" if case.usual is None else f"{case.usual:,}"
    cells = [_cell(measured.times.get(column), goal) for column in _COLUMNS]
    return f"| {case.name} | {case.values} | {usual} | {' | '.join([*cells, *_by(measured.plans)])} |"


def _answer_row(answered: Answered) -> str:
    goal = f"{answered.goal_ms:,.0f}" if answered.goal_ms else ""
    cell = _cell(answered.times, answered.goal_ms)
    return f"| {answered.part} | {answered.question} | {cell} | {goal} | {' | '.join(_by(answered.plans))} |"


def _cell(times: Times | None, goal_ms: float | None) -> str:
    if times is None:
        return ""
    text = f"{_number(times.p50)} / {_number(times.p95)}"
    if goal_ms and times.p95 > goal_ms:
        text = f"**{text}**"
    return f"{text} (gave up {times.given_up} of {len(times.milliseconds)})" if times.given_up else text


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _by(plans: Plans) -> list[str]:
    planning = _number(plans.planning_ms) if plans.planning_ms else ""
    return [planning, _ways(plans.ways, plans.large_scans)]


def _ways(ways: list[str], scans: list[str]) -> str:
    named = ", ".join(scans[:_MOST_NAMED]) + (
        f" and {len(scans) - _MOST_NAMED} more" if len(scans) > _MOST_NAMED else ""
    )
    return "; ".join(filter(None, [", ".join(ways), f"**{named}**" if named else ""]))


def _beside_peer(results: Results) -> list[str]:
    mine = {(one.case.name, one.case.values, one.has_range): one for one in results.searches}
    lines = [
        f"### Beside django-auditlog {results.about['peer_version']} ({results.about['peer_events']:,} entries)",
        "",
        "The ledger's figure first, then auditlog's, with its own indexes, and offsets for pages.",
        "",
        "| filter | values | range | what | ledger | auditlog | auditlog's indexes |",
        "|---" * 7 + "|",
    ]
    for theirs in results.peer:
        ours = mine.get((theirs["name"], theirs["values"], theirs["has_range"]))
        for column, times in theirs["times"].items():
            if "oldest" in column:  # it's the same at both ends
                continue
            cells = [
                theirs["name"],
                theirs["values"],
                "30 days" if theirs["has_range"] else "any time",
                column,
                _cell(ours.times.get(column), None) if ours else "",
                f"{_number(times['p50_ms'])} / {_number(times['p95_ms'])}"
                + (f" (gave up {times['given_up']} of {times['calls']})" if times["given_up"] else ""),
                _ways(theirs["ways"], theirs["large_scans"]),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    lines += [f"| {name} | | | can't be asked: {why} | | | |" for name, why in _CANT_BE_ASKED.items()]
    return lines


def _size_tables(sizes: list[Sizes]) -> list[str]:
    lines = ["### Bytes an event", ""]
    for one in sizes:
        columns = ", ".join(f"{name} {size:.0f}" for name, size in one.columns.items())
        goal = f" (goal: {GOAL_BYTES})" if "two fields" in one.name else ""
        parts = ", ".join(f"{name} {size:.1f}" for name, size in one.parts.items())
        lines.append(f"- {one.name}, {one.events:,} of them: **{one.total:.0f}**{goal}: {parts}")
        if columns:
            lines.append(f"  - of the table: {columns}; the rest is each row's header and padding")
    return lines


def _missed(results: Results) -> list[str]:
    missed = []
    for one in results.searches:
        goal = goal_of(one)
        columns = [column for column, times in one.times.items() if goal and times.p95 > goal]
        if columns:
            missed.append(f"{one.case.name} {one.case.values} ({', '.join(columns)})".replace("  ", " "))
    missed += [f"{one.part} {one.question}" for one in results.answers if one.goal_ms and one.times.p95 > one.goal_ms]
    missed += [
        f"{one.total:.0f} bytes, {one.name}" for one in results.sizes if "two" in one.name and one.total > GOAL_BYTES
    ]
    return missed


def as_json(results: Results) -> str:
    """Return all figures and the plans of those that missed their goals."""
    searches = []
    for one in results.searches:
        goal = goal_of(one)
        is_missed = goal is not None and any(times.p95 > goal for times in one.times.values())
        searches.append(
            {
                "filter": one.case.name,
                "values": one.case.values,
                "asked": one.case.questions[0].given,
                "events": one.case.usual,
                "has_range": one.has_range,
                "goal_p95_ms": goal,
                "times": {column: times.as_dict() for column, times in one.times.items()},
                **_plans(one.plans, has_texts=is_missed),
            }
        )
    answers = [
        {
            "part": one.part,
            "question": one.question,
            "goal_p95_ms": one.goal_ms,
            **one.times.as_dict(),
            **_plans(one.plans, has_texts=bool(one.goal_ms and one.times.p95 > one.goal_ms)),
        }
        for one in results.answers
    ]
    sizes = [
        {"name": one.name, "events": one.events, "total": one.total, "parts": one.parts, "columns": one.columns}
        for one in results.sizes
    ]
    found = {
        "about": results.about,
        "searches": searches,
        "answers": answers,
        "auditlog": results.peer,
        "bytes": sizes,
        "missed": _missed(results),
    }
    return json.dumps(found, indent=1)


def _plans(plans: Plans, *, has_texts: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "indexes": plans.ways,
        "large_scans": plans.large_scans,
        "planning_ms": round(plans.planning_ms, 2),
    }
    return {**found, "plans": [json.loads(text) for text in plans.texts]} if has_texts else found
