"""`manage healthcheck`: whether all parts of the platform do their work."""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audit.management.help import show_examples
from config.checkup import ALL_CHECKS
from config.health import Check, run_checks, worst_of

_EXAMPLES = """
examples:
  manage healthcheck
  manage healthcheck --strict --timeout 10                     before a release: warnings fail as well
  manage healthcheck --format json | jq '.checks[] | select(.ok | not)'

checks:
  database     PostgreSQL answers
  migrations   all are applied
  redis        Redis answers; a warning where it takes no writes, being full or a replica
  ledger       the ledger's triggers and partitions are what the code wants; a warning where they aren't
  workers      a Celery worker answers; a warning where a queue has none
  tasks        how long the oldest due task has waited: a warning from a minute on, a failure from 15 minutes on
  disk         free space for LOCAL_DIR and MEDIA_ROOT: a warning below HEALTH_FREE_DISK_BYTES, a failure below a tenth

It exits with 0 where all is well or there are only warnings, with 1 where a check fails. /healthz/ready asks the first
four alone: what takes a web process out of the load balancer.
"""


class Command(BaseCommand):
    help = "Checks the database, migrations, Redis, the ledger, workers, waiting tasks and free disk space."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        show_examples(parser, _EXAMPLES)
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument(
            "--timeout", type=_seconds, default=5.0, metavar="SECONDS", help="For all checks together; by default 5."
        )
        parser.add_argument("--strict", action="store_true", help="Exit with 1 for warnings as well.")

    def handle(self, *args: Any, **options: Any) -> None:
        checks = run_checks(ALL_CHECKS, options["timeout"])
        status = worst_of(checks)
        if options["format"] == "json":
            self.stdout.write(json.dumps({"status": status, "checks": [asdict(check) for check in checks]}))
        else:
            self._tell(checks)
        if status == "unavailable" or (status == "warning" and options["strict"]):
            sys.exit(1)

    def _tell(self, checks: list[Check]) -> None:
        width = max(len(check.name) for check in checks)
        for check in checks:
            word, paint = ("ok", self.style.SUCCESS)
            if not check.ok:
                word, paint = ("warning", self.style.WARNING) if check.is_warning else ("FAILED", self.style.ERROR)
            self.stdout.write(f"{paint(f'{word:<7}')}  {check.name:<{width}}  {check.detail}")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from above 0 to 600.")
    return seconds
