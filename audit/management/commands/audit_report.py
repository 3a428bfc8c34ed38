"""`manage audit_report`: a period of the ledger, summed up."""

import argparse
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import recording, status
from audit.errors import PeriodError
from audit.management.files import refuse_unwritable, whole_file
from audit.management.help import show_examples
from audit.reading import filters
from audit.reports import forms, summary

_EXAMPLES = """
examples:
  manage audit_report                                          the last seven days
  manage audit_report --since 2026-03-01 --until 2026-04-01    March; times without an offset are UTC
  manage audit_report --days 1 --format html --output day.html
                                                               a file to read, print or send; it needs nothing else
  manage audit_report --format json | jq '.figures.grants.lines'

It holds personal data. That it was made is an event too: audit.ledger.reported. What it is doing goes to standard
error; --verbosity 0 keeps it quiet. A file is written whole or not at all.
"""

_FORMS = {"text": forms.as_text, "html": forms.as_html, "json": forms.as_json}


class Command(BaseCommand):
    help = "Sums up a period of the ledger: who did what, logins, denials, privileges, deletions, reads, silence."

    def add_arguments(self, parser: CommandParser) -> None:
        show_examples(parser, _EXAMPLES)
        parser.add_argument("--since", type=_moment, metavar="TIME", help="Recorded at or after; ISO 8601.")
        parser.add_argument("--until", type=_moment, metavar="TIME", help="Recorded before; by default now.")
        parser.add_argument("--days", type=int, metavar="N", help="So many days up to the end; by default 7.")
        parser.add_argument("--format", choices=list(_FORMS), default="text")
        parser.add_argument("--output", type=Path, metavar="FILE", help="Write to this file instead.")
        parser.add_argument("--database", default="default", metavar="ALIAS", help="The database of the ledger.")

    def handle(self, *args: Any, **options: Any) -> None:
        alias, output, form = options["database"], options["output"], options["format"]
        try:
            since, until = summary.period(options["since"], options["until"], options["days"])
        except PeriodError as error:
            raise CommandError(str(error)) from error
        if output is not None:
            refuse_unwritable(output)
        if not status.has_ledger(alias):
            raise CommandError(f"There is no ledger on the database {alias!r}; run manage migrate.")
        report = summary.make(since, until, using=alias, progress=_Progress(self, options["verbosity"]))
        text = _FORMS[form](report)
        # First: a report that can't be recorded isn't given.
        told = {"since": since, "until": until, "format": form, "events": report.events}
        recording.record("audit.ledger.reported", changes=told, using=alias)
        if output is None:
            self.stdout.write(text, ending="" if text.endswith("\n") else "\n")
        else:
            with whole_file(output) as file:
                file.write(text.encode())


class _Progress:
    """Says on standard error what is being done, and for how long it has been."""

    def __init__(self, command: BaseCommand, verbosity: int) -> None:
        self._command = command
        self._is_quiet = verbosity == 0
        self._begun = time.monotonic()

    def __call__(self, step: str) -> None:
        if not self._is_quiet:
            self._command.stderr.write(f"{time.monotonic() - self._begun:6.1f} s  {step} …", self._command.style.NOTICE)
            self._command.stderr.flush()


def _moment(text: str) -> datetime:
    try:
        return filters.moment(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
