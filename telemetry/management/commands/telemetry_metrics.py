"""`manage telemetry_metrics`: every metric that the code declares."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from telemetry.metrics import registry

_FORMATS = {"text": registry.as_text, "json": registry.as_json, "markdown": registry.as_markdown}


class Command(BaseCommand):
    help = "Lists every metric that the code declares: name, type, unit, labels, help and buckets."

    def add_arguments(self, parser: CommandParser) -> None:
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
