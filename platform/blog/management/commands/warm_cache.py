"""`manage warm_cache`: a thin front of `blog.caching.warming`."""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from blog.caching import warming
from caching.errors import AwayError

EXAMPLES = """
Makes the front page, the archive and the newest posts, as visitors see them, so that the first of them needn't wait.
What is there and good is left alone. Beat does the same every two minutes; run it after a deploy.
The exit code is 0 where all of them are there then, 1 where some are not or Redis can't be asked.

examples:
  manage warm_cache
  manage warm_cache --posts 200
  manage warm_cache --format json
"""


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise ArgumentTypeError(f"{text!r} is no number of posts; give one from 0 to 999999.")
    return int(text)


class Command(BaseCommand):
    help = "Make the pages that visitors ask for most, before they ask."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(
            prog_name, subcommand, epilog=EXAMPLES, formatter_class=RawDescriptionHelpFormatter, **kwargs
        )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--posts", type=_count, default=warming.POSTS, metavar="N", help=f"so many newest posts ({warming.POSTS})"
        )
        parser.add_argument("--format", choices=["text", "json"], default="text", help="of the summary (text)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = self._warm(options["posts"])
        except AwayError:
            self.stderr.write("warm_cache: Redis can't be asked, so nothing is kept. See that it runs (REDIS_URL).")
            sys.exit(1)
        if options["format"] == "json":
            self.stdout.write(json.dumps(asdict(report), indent=2, ensure_ascii=False))
        else:
            for address, fault in report.failed.items():
                self.stdout.write(f"FAILED {address}: {fault}")
            self.stdout.write(
                f"{report.made} pages made, {report.kept} were there, {len(report.failed)} failed, "
                f"in {report.seconds:.1f} s."
            )
        if report.failed:
            sys.exit(1)

    def _warm(self, posts: int) -> warming.Report:
        columns = (
            TextColumn("Warming"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[address]}"),
        )
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("warm", total=None, address="")
            return warming.warm_cache(
                posts=posts,
                progress=lambda done, total, address: bar.update(
                    task, completed=done, total=total, address=address[:40]
                ),
            )
