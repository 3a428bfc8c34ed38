"""A report as text for a terminal, as one HTML file for people, and as JSON for programs.

What the ledger holds was written by others: in text and HTML nothing of it can end a line, move the cursor, turn the
reading direction or be taken for markup. JSON has it exactly.
"""

import re
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.template import Context, Engine

import audit
from audit import values
from audit.reading import charts
from audit.reports.summary import Figure, Report

WIDTH = 98
_NARROWEST = 8
_GAP = "  "
_TEMPLATES = Path(audit.__file__).parent / "templates"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
PERSONAL = "It holds personal data: names and addresses. Keep it, and pass it on, as such."


# --- JSON -------------------------------------------------------------------------------------------------------------


def as_json(report: Report) -> str:
    """Return the report as JSON; times are ISO 8601 in UTC, durations seconds.

    `figures` maps each figure's name to its `title`, `note`, `total` of events, `lines` and `left_out`, how many lines
    more there are. A line has a member for each of `columns`, and `query`, the ledger's search for its events; that is
    empty where no filter can say a value.
    """
    silence = report.silence
    return values.dumps(
        {
            "version": 1,
            "since": report.since,
            "until": report.until,
            "made_at": report.made_at.astimezone(UTC),
            "time_zone": "UTC",
            "database": report.database,
            "holds_personal_data": True,
            "events": report.events,
            "query": report.query,
            "coverage": {
                "ledger_began_at": report.ledger_began_at,
                "first_event_at": report.first_event_at,
                "last_event_at": report.last_event_at,
                "longest_silence": silence
                and {
                    "begun_at": silence.begun_at,
                    "ended_at": silence.ended_at,
                    "seconds": silence.duration.total_seconds(),
                    "query": silence.query,
                },
                "notes": report.notes,
            },
            "figures": {one.name: _figure_json(one) for one in report.figures},
        }
    ).decode()


def _figure_json(figure: Figure) -> dict[str, Any]:
    return {
        "title": figure.title,
        "note": figure.note,
        "columns": figure.columns,
        "total": figure.total,
        "left_out": figure.left_out,
        "lines": [{**line.values, "query": line.query} for line in figure.lines],
    }


# --- text -------------------------------------------------------------------------------------------------------------


def as_text(report: Report) -> str:
    """Return the report as aligned text, at most 98 columns wide."""
    parts = [
        f"LEDGER REPORT\n{'=' * WIDTH}",
        *(_wrapped(f"{name + ':':<17}{text}", 17) for name, text in facts(report)),
    ]
    parts.append("")
    parts += [_wrapped(f"* {note}", 2) for note in (PERSONAL, *report.notes)]
    parts += ["", _wrapped(f"Find the events of a figure at /audit/?<its search>&{report.query}")]
    for figure in report.figures:
        parts += ["", "", f"{figure.title} ({figure.total:,})", "-" * WIDTH]
        parts.append(_table(figure) if figure.lines else "None.")
        parts += [_wrapped(text) for text in _below(figure)]
    return "\n".join(parts) + "\n"


def facts(report: Report) -> list[tuple[str, str]]:
    """Return what the report says before its figures, by name."""
    found = [
        ("Period", f"{shown(report.since)} to {shown(report.until)} UTC ({_duration(report.until - report.since)})"),
        ("Made", f"{shown(report.made_at)} UTC, from the database {visible(report.database)}"),
        ("Events", f"{report.events:,}"),
    ]
    if report.first_event_at and report.last_event_at:
        found.append(("First and last", f"{shown(report.first_event_at)} and {shown(report.last_event_at)} UTC"))
    if silence := report.silence:
        times = f"{shown(silence.begun_at)} to {shown(silence.ended_at)} UTC"
        found.append(("Longest silence", f"{_duration(silence.duration)}, {times}"))
    return found


def _below(figure: Figure) -> list[str]:
    found = [f"and {figure.left_out:,} more, not shown."] if figure.left_out else []
    if figure.note:
        found.append(figure.note)
    if figure.lines:
        found.append(f"Search: {figure.query_form}")
    return found


def _table(figure: Figure) -> str:
    rows = [[shown(line.values[name]) for name in figure.columns] for line in figure.lines]
    heads = [heading(name) for name in figure.columns]
    is_number = [all(isinstance(line.values[name], int) for line in figure.lines) for name in figure.columns]
    widths = _fitting([max(map(len, column)) for column in zip(heads, *rows, strict=True)], is_number)
    lines = []
    for row in [heads, *rows]:
        cells = [textwrap.wrap(text, width) or [""] for text, width in zip(row, widths, strict=True)]
        for place in range(max(map(len, cells))):
            pieces = [cell[place] if place < len(cell) else "" for cell in cells]
            aligned = [
                f"{piece:>{width}}" if number else f"{piece:<{width}}"
                for piece, width, number in zip(pieces, widths, is_number, strict=True)
            ]
            lines.append(_GAP.join(aligned).rstrip())
    return "\n".join(lines)


def _fitting(widths: list[int], is_number: list[bool]) -> list[int]:
    """Take from the widest columns of text until all fit side by side."""
    fitted = list(widths)
    while sum(fitted) + len(_GAP) * (len(fitted) - 1) > WIDTH:
        texts = [place for place, number in enumerate(is_number) if not number and fitted[place] > _NARROWEST]
        if not texts:
            break
        fitted[max(texts, key=lambda place: fitted[place])] -= 1
    return fitted


def _wrapped(text: str, indent: int = 0) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)


# --- HTML -------------------------------------------------------------------------------------------------------------


def as_html(report: Report) -> str:
    """Return the report as one HTML file that needs nothing else."""
    # An engine of its own: whatever the project's templates are made with.
    template = Engine(dirs=[str(_TEMPLATES)], autoescape=True).get_template("audit/report.html")
    figures = [_figure_html(one) for one in report.figures]
    members = {"report": report, "facts": facts(report), "notes": (PERSONAL, *report.notes), "figures": figures}
    # Numbers and times are those of the report, whatever the project's language and time zone are.
    return template.render(Context(members, use_l10n=False, use_tz=False))


def _figure_html(figure: Figure) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {
            "cells": [(shown(line.values[name]), _kind(line.values[name])) for name in figure.columns],
            "query": line.query,
        }
        for line in figure.lines
    ]
    kinds = [kind for _, kind in rows[0]["cells"]] if rows else [""] * len(figure.columns)
    heads = list(zip(map(heading, figure.columns), kinds, strict=True))
    chart = None
    if figure.columns[0] == "day" and figure.columns[1] == "events":
        chart = charts.bars([(line.values["day"], line.values["events"], line.query) for line in figure.lines])
    return {
        "name": figure.name,
        "title": figure.title,
        "total": f"{figure.total:,}",
        "heads": heads,
        "rows": rows,
        "chart": chart,
        "below": _below(figure),
        "queries": [row["query"] for row in rows if row["query"]],
    }


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int) else "time" if isinstance(value, datetime) else ""


# --- values -----------------------------------------------------------------------------------------------------------


def shown(value: Any) -> str:
    """Return a value as people read it."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, int):
        return f"{value:,}"
    return visible(str(value)) or "–"  # noqa: RUF001


def visible(text: str) -> str:
    """Return `text` with its control characters, line ends and marks of direction written out."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def heading(name: str) -> str:
    """Return what a column is called."""
    return name.replace("_", " ")


def _duration(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    parts = [(seconds // 86_400, "d"), (seconds // 3_600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "less than a second"
