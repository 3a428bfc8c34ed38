"""Every family that an installed application declares, for people: the page `docs/metrics.md`, text, JSON."""

import importlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

from django.apps import apps

from telemetry.metrics.families import families
from telemetry.metrics.family import Family

_DECLARES = re.compile(rb"^from telemetry(?:\.metrics\S* import |\s+import .*\bmetrics\b)", re.MULTILINE)
_INTRODUCTION = """# Metrics

What the code declares, written by `manage telemetry_metrics --format markdown`; a test holds that this page is true.
A histogram `x` is read as `x_bucket`, `x_count` and `x_sum`. A gauge is the sum over the processes that live. Where a
metric has as many series as it may, whatever else comes is counted with every label `_OTHER`, and in
`telemetry_metric_series_refused_total`.
"""


def declared() -> list[Family]:
    """Return the families of the installed applications, by name; those of other modules, such as tests, are none.

    What is imported by some processes only, such as Celery's part by workers, is imported for that.
    """
    folders = {config.name: Path(config.path) for config in apps.get_app_configs()}
    for name, folder in folders.items():
        for path in sorted(folder.rglob("*.py")):
            if _DECLARES.search(path.read_bytes()):
                _import(".".join([name, *path.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__"))
    found = (one for one in families.values() if any(f"{one.module}.".startswith(f"{name}.") for name in folders))
    return sorted(found, key=lambda family: family.name)


def _import(module: str) -> None:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == module.partition(".")[0]:
            raise
        # A library that isn't installed: so its metrics aren't either.


def as_json(found: Iterable[Family]) -> str:
    """Return all that is declared, as a list of objects."""
    return json.dumps([_facts(family) for family in found], indent=1)


def as_text(found: Iterable[Family]) -> str:
    """Return some lines for each family."""
    blocks = []
    for family in found:
        lines = [f"{family.name}  ({', '.join(filter(None, [family.kind, family.unit]))})", f"  {family.help}"]
        if family.labels:
            lines.append(f"  labels: {', '.join(family.labels)}; {family.most_series:,} series at most")
        if family.buckets:
            lines.append(f"  buckets: {_bounds(family)}")
        blocks.append("\n".join([*lines, f"  declared in {family.module}"]))
    return "\n\n".join(blocks)


def as_markdown(found: Iterable[Family]) -> str:
    """Return the page, with a table for each application."""
    by_application: dict[str, list[Family]] = {}
    for family in found:
        by_application.setdefault(family.module.partition(".")[0], []).append(family)
    parts = [_INTRODUCTION]
    for application in sorted(by_application):
        rows = [f"## {application}\n", "| metric | type | unit | labels | what it counts |", "|---|---|---|---|---|"]
        for family in by_application[application]:
            labels = ", ".join(f"`{label}`" for label in family.labels)
            words = f"{family.help} Buckets: {_bounds(family)}." if family.buckets else family.help
            words = words.replace("|", "\\|")
            rows.append(f"| `{family.name}` | {family.kind} | {family.unit} | {labels} | {words} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _facts(family: Family) -> dict[str, object]:
    return {
        "name": family.name,
        "type": family.kind,
        "unit": family.unit,
        "labels": family.labels,
        "help": family.help,
        "buckets": family.buckets,
        "most_series": family.most_series,
        "module": family.module,
    }


def _bounds(family: Family) -> str:
    return " ".join(f"{bound:g}" for bound in family.buckets)
