"""`manage seed_demo`: demo accounts, and a blog to look at."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.demo import create_demo_accounts
from audit.management.help import show_examples
from blog.demo import seed_demo_posts

_EXAMPLES = """
examples:
  manage seed_demo                                what `manage up` does with an empty database
  DEMO_PASSWORD=another manage seed_demo          accounts that are there already keep their password

It changes nothing that is there, and needs the development settings.
"""


class Command(BaseCommand):
    help = "Create the demo accounts and a dozen posts with comments, where they are missing."

    def add_arguments(self, parser: CommandParser) -> None:
        show_examples(parser, _EXAMPLES)
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO_PASSWORD:
            raise CommandError("Demo data is for development: set DEMO_PASSWORD, with the development settings.")
        accounts = create_demo_accounts(settings.DEMO_PASSWORD)
        report = seed_demo_posts()
        for remark in report.failed:
            self.stderr.write(f"{remark.file}: {remark.message}")
        if options["format"] == "json":
            told = {"accounts": len(accounts), "posts": report.imported, "created": report.created}
            self.stdout.write(json.dumps(told))
            return
        self.stdout.write(f"{len(accounts)} demo accounts, {report.imported} posts ({report.created} new).")
