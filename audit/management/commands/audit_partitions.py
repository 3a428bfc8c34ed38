"""`manage audit_partitions`: the ledger's monthly partitions, ahead of time."""

import argparse
from dataclasses import asdict
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import conf, partitions
from audit.errors import PartitionsError
from audit.management.help import show_examples

_EXAMPLES = """
examples:
  manage audit_partitions                      this month's and the next ones' (AUDIT_PARTITION_MONTHS_AHEAD)
  manage audit_partitions --months-ahead 24    two years
  manage audit_partitions --format json        what was made, for programs

It's harmless at any time, and does nothing where all stand. Events that came to the default partition, because their
month had none, move into their own.
"""


class Command(BaseCommand):
    help = "Makes the ledger's monthly partitions, as its owner."

    def add_arguments(self, parser: CommandParser) -> None:
        show_examples(parser, _EXAMPLES)
        parser.add_argument("--months-ahead", type=_months, default=None, help="Months after this one; up to 120.")
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument("--database", default="", help="The alias of the ledger's owner.")

    def handle(self, *args: Any, **options: Any) -> None:
        alias = options["database"] or conf.owner_database()
        try:
            made = partitions.ensure(alias, months_ahead=options["months_ahead"])
        except PartitionsError as error:
            raise CommandError(str(error)) from error
        if options["format"] == "json":
            self.stdout.write(orjson.dumps({"made": [asdict(one) for one in made]}).decode())
            return
        for one in made:
            self.stdout.write(f"{one.name} made" + (f", {one.moved_events:,} events moved" if one.moved_events else ""))
        if not made:
            self.stdout.write("All partitions stand.")


def _months(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 120:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 120.")
