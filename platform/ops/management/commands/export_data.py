"""`manage export_data`: rows as JSON, NDJSON or CSV, without secrets."""

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.errors import FilterError
from audit.management.files import refuse_unwritable, silence, whole_file
from audit.management.help import show_examples
from audit.reading import filters
from ops.exporting.errors import ExportRefusedError
from ops.exporting.formats import FORMATS
from ops.exporting.run import Export
from ops.exporting.selections import Selection, Wish, exportable_models, select
from ops.progress import progress_bar

_EXAMPLES = """
examples:
  manage export_data --model blog.post --format csv --output posts.csv
  manage export_data --model blog.post blog.comment --since 2026-03-01 --until 2026-04-01
  manage export_data --model blog.post --status published --fields id,title,slug,published_at
  manage export_data --model tasks.taskrun --status dead --format ndjson | jq .name
  manage export_data --model accounts.user --personal --output people.json

models:
  {models}

--since and --until go by the first date that every row of a model has, or by --date-field; times without an offset are
UTC. All models are as they were at one moment. Secrets are never exported, personal fields with --personal alone. A
file is written whole or not at all, and only you may read it. In CSV a cell that begins like a formula gets an
apostrophe. Each export is in the ledger, as ops.data.export_started and ops.data.exported. It exits with 2 where
something is asked for that there isn't.
"""
_WRONG = 2


class Command(BaseCommand):
    help = "Exports rows as JSON, NDJSON or CSV, to a file or standard output, without secrets."

    def add_arguments(self, parser: CommandParser) -> None:
        show_examples(parser, _EXAMPLES.format(models="\n  ".join(exportable_models())))
        parser.add_argument("--model", action="extend", nargs="+", required=True, metavar="APP.MODEL")
        parser.add_argument("--format", choices=list(FORMATS), default="json")
        parser.add_argument("--output", type=Path, metavar="FILE", help="Write to this file, not to standard output.")
        parser.add_argument("--since", type=_moment, metavar="TIME", help="From then on; ISO 8601.")
        parser.add_argument("--until", type=_moment, metavar="TIME", help="Before then.")
        parser.add_argument("--date-field", default="", metavar="FIELD", help="The date that these two mean.")
        parser.add_argument("--status", action="extend", nargs="+", default=[], help="Rows in this status or state.")
        parser.add_argument("--fields", type=_names, default=(), metavar="A,B,…", help="Only these, in this order.")
        parser.add_argument("--personal", action="store_true", help="Personal fields as well.")

    def handle(self, *args: Any, **options: Any) -> None:
        selections = _selections(options)
        output: Path | None = options["output"]
        asked = {
            name: options[name] for name in ("since", "until", "date_field", "status", "personal") if options[name]
        }
        export = Export(selections, options["format"], {**asked, "output": str(output.absolute()) if output else ""})
        with progress_bar("Exporting", is_quiet=options["verbosity"] == 0) as progress:
            if output is not None:
                with whole_file(output) as file:
                    export.run(file.write, progress=progress)
            elif not export.run(self._write, progress=progress):
                silence(self.stdout)
        if output is not None and options["verbosity"]:
            counts = ", ".join(f"{count:,} {label}" for label, count in export.counts.items())
            self.stderr.write(f"{output}: {counts}.", self.style.SUCCESS)

    def _write(self, data: bytes) -> None:
        self.stdout.write(data.decode(), ending="")
        self.stdout.flush()


def _selections(options: dict[str, Any]) -> list[Selection]:
    labels = list(dict.fromkeys(label.lower() for label in options["model"]))
    if options["output"] is not None:
        refuse_unwritable(options["output"])
    if options["since"] and options["until"] and options["since"] >= options["until"]:
        raise CommandError("--since is to be before --until.", returncode=_WRONG)
    for option, is_given in (("--format csv", options["format"] == "csv"), ("--fields", bool(options["fields"]))):
        if is_given and len(labels) > 1:
            raise CommandError(f"{option} goes with one model; run it once for each.", returncode=_WRONG)
    try:
        return [
            select(
                Wish(
                    label,
                    fields=options["fields"],
                    since=options["since"],
                    until=options["until"],
                    date_field=options["date_field"],
                    statuses=options["status"],
                    with_personal=options["personal"],
                )
            )
            for label in labels
        ]
    except ExportRefusedError as error:
        raise CommandError(str(error), returncode=_WRONG) from error


def _moment(text: str) -> datetime:
    try:
        return filters.moment(text)
    except (ValueError, FilterError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise argparse.ArgumentTypeError("Name at least one field.")
    return names
