"""`manage telemetry_metrics`: every metric that the code declares."""

from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from telemetry.metrics import registry

_EXAMPLES = """
examples:
  manage telemetry_metrics
  manage telemetry_metrics --format json | jq -r '.[].name'
  manage telemetry_metrics --format markdown > docs/metrics.md
  manage telemetry_metrics --check docs/metrics.md                for CI: exits with 1 where the page isn't true
"""
_FORMATS = {"text": registry.as_text, "json": registry.as_json, "markdown": registry.as_markdown}


class Command(BaseCommand):
    help = "Lists every metric that the code declares: name, type, unit, labels, help and buckets."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.formatter_class, parser.epilog = RawDescriptionHelpFormatter, _EXAMPLES
        parser.add_argument("--format", choices=list(_FORMATS), default="text")
        parser.add_argument("--check", metavar="PAGE", help="Exit with 1 where this Markdown page isn't what it'd be.")

    def handle(self, *args: Any, **options: Any) -> None:
        found = registry.declared()
        if not options["check"]:
            self.stdout.write(_FORMATS[options["format"]](found).removesuffix("\n"))
            return
        page = Path(options["check"])
        if not page.is_file() or page.read_text() != registry.as_markdown(found):
            raise CommandError(
                f"{page} isn't what the code declares. Run: manage telemetry_metrics --format markdown > {page}"
            )
        self.stdout.write(f"{page} is what the code declares.")
