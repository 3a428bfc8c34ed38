"""`manage import_posts DIR`: a thin front of `blog.importing`."""

import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import audit
from blog.caching.warming import warm_cache
from blog.importing.run import Remark, Report, import_directory
from caching.errors import AwayError

EXAMPLES = """
Each post is a Markdown file with TOML (+++) or YAML (---) front matter, or a folder with index.md and its images.
A second import changes only what has changed since. Files that can't be imported are named and left out; the others
are imported, and the exit code is 1.

examples:
  manage import_posts content/posts
  manage import_posts content/posts --dry-run
  manage import_posts content/posts --author "The Editors" --format json
"""


class Command(BaseCommand):
    help = "Import a folder of Markdown posts with front matter and page bundles."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(
            prog_name, subcommand, epilog=EXAMPLES, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, metavar="DIR", help="the folder; those below are searched as well")
        parser.add_argument("--author", default="", metavar="NAME", help="who wrote the posts that name no author")
        parser.add_argument("--dry-run", action="store_true", help="try everything, keep nothing")
        parser.add_argument("--format", choices=["text", "json"], default="text", help="of the summary (text)")

    def handle(self, *args: Any, **options: Any) -> None:
        root: Path = options["directory"]
        if not root.is_dir():
            self.stderr.write(f"import_posts: {root} is no folder. Give the folder that holds the posts.")
            sys.exit(2)
        with audit.reason(f"import_posts {root}"):
            report = self._import(root, options)
        if (report.created or report.updated) and not options["dry_run"]:
            with suppress(AwayError):  # then pages are made when somebody asks
                warm_cache()
        if options["format"] == "json":
            self.stdout.write(
                json.dumps(asdict(report) | {"dry_run": options["dry_run"]}, indent=2, ensure_ascii=False)
            )
        else:
            self._tell(report, is_dry_run=options["dry_run"])
        if report.failed:
            sys.exit(1)

    def _import(self, root: Path, options: dict[str, Any]) -> Report:
        columns = (
            TextColumn("Importing"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[file]}"),
        )
        # Shown on a terminal alone; the summary on standard output stays clean.
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("import", total=None, file="")
            return import_directory(
                root,
                default_author=options["author"],
                is_dry_run=options["dry_run"],
                progress=lambda done, total, file: bar.update(
                    task, completed=done, total=total, file=_printable(file)[:40]
                ),
            )

    def _tell(self, report: Report, *, is_dry_run: bool) -> None:
        for kind, remarks in (("warning", report.warnings), ("skipped", report.skipped), ("FAILED", report.failed)):
            for remark in remarks:
                self.stdout.write(_line(kind, remark))
        counts = f"{report.created} created, {report.updated} updated, {report.unchanged} unchanged"
        others = f"{len(report.skipped)} skipped, {len(report.failed)} failed, {report.images} images stored"
        dry = " Dry run: nothing was kept." if is_dry_run else ""
        self.stdout.write(f"{report.imported} of {report.found} posts: {counts}, {others}.{dry}")


def _line(kind: str, remark: Remark) -> str:
    return f"{kind:8} {_printable(remark.file)}: {_printable(remark.message)}"


def _printable(text: str) -> str:
    """Return `text` without what would steer a terminal; names of files may hold anything."""
    return "".join(character if character.isprintable() else "?" for character in text)
