"""`manage export_posts DIR`: a thin front of `blog.exporting`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from audit.management.help import show_examples
from blog.exporting.run import Exported, export_posts
from blog.models import Post

_EXAMPLES = """
Each post becomes a folder with index.md and its images; `import_posts` reads them again, here or elsewhere. Drafts are
among them. Comments and histories are not: `export_data` has the former, the ledger the latter.

examples:
  manage export_posts blog-2026-03-01
  manage export_posts backup/posts --format json
"""
_WRONG = 2


class Command(BaseCommand):
    help = "Export the whole blog as Markdown files with front matter, and the posts' images beside them."

    def add_arguments(self, parser: CommandParser) -> None:
        show_examples(parser, _EXAMPLES)
        parser.add_argument("directory", type=Path, metavar="DIR", help="a folder that is new, or empty")
        parser.add_argument("--format", choices=["text", "json"], default="text", help="of the summary (text)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            exported = self._export(options["directory"])
        except (FileExistsError, NotADirectoryError) as error:
            raise CommandError(str(error), returncode=_WRONG) from error
        except OSError as error:
            raise CommandError(f"{options['directory']} can't be written: {error.strerror}") from error
        if options["format"] == "json":
            self.stdout.write(json.dumps(asdict(exported), indent=2, ensure_ascii=False))
            return
        for remark in exported.warnings:
            self.stderr.write(f"warning  {remark.file}: {remark.message}")
        self.stdout.write(f"{exported.posts} posts and {exported.images} images are in {options['directory']}.")

    def _export(self, root: Path) -> Exported:
        columns = (TextColumn("Exporting"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("export", total=Post.objects.count())
            return export_posts(root, progress=lambda done: bar.update(task, completed=done))
