"""`manage audit_status`: whether the ledger captures what it should."""

import sys
from dataclasses import asdict
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import conf, status
from audit.management.help import show_examples

_EXAMPLES = """
examples:
  manage audit_status                  each model: tracked, exempt and why, undecided; then the partitions
  manage audit_status --format json    the same for programs
  manage check --database default      the drifts alone, as Django's check audit.E003

It exits with 1 where something drifts, and says of each drift what to do.
"""


class Command(BaseCommand):
    help = "Shows what the ledger captures, and what isn't as it should be."

    def add_arguments(self, parser: CommandParser) -> None:
        show_examples(parser, _EXAMPLES)
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument("--database", default="", help="The alias of the ledger's database.")

    def handle(self, *args: Any, **options: Any) -> None:
        alias = options["database"] or conf.owner_database()
        if not status.has_ledger(alias):
            raise CommandError(f"There is no ledger on the database {alias!r}; run manage migrate.")
        found = status.read(alias)
        if options["format"] == "json":
            self.stdout.write(orjson.dumps({**asdict(found), "problems": found.problems}).decode())
        else:
            self._write_text(found)
        if found.problems:
            sys.exit(1)

    def _write_text(self, found: status.Status) -> None:
        width = max((len(model.label) for model in found.models), default=0)
        for model in sorted(found.models, key=lambda model: model.label):
            if model.decision != "elsewhere":
                self.stdout.write(f"{model.label:<{width}}  {model.decision:<9}  {_told(model)}")
        elsewhere = sorted(model.label for model in found.models if model.decision == "elsewhere")
        if elsewhere:
            self.stdout.write(f"\nOf installed packages, not registered: {', '.join(elsewhere)}")
        stand = found.partitions
        last = f", until the end of {stand.months[-1]:%Y-%m}" if stand.months else ""
        self.stdout.write(
            f"\nPartitions: {len(stand.months)} months, {stand.months_ready} of them ready from this month on{last}; "
            f"{stand.default_events:,} events in the default partition"
        )
        for problem in found.problems:
            self.stdout.write(self.style.ERROR(f"DRIFT: {problem}"))
        if not found.problems:
            self.stdout.write(self.style.SUCCESS("All is as it should be."))


def _told(model: status.ModelStatus) -> str:
    if model.decision != "tracked":
        return model.reason
    if not model.captures:
        return "no table of its own" if model.has_table else "no table"
    drifts = [f"{one.table}.{one.event} {one.state}" for one in model.captures if one.state != "current"]
    tables = sorted({one.table for one in model.captures})
    return ", ".join(drifts) or f"triggers current on {', '.join(tables)}"
