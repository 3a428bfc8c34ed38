"""`manage maintenance on|off|status`: closes the platform for all but staff, and opens it again."""

import json
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

import audit
from audit.management.help import show_examples
from ops.durations import duration
from ops.maintenance import actions, queries
from ops.maintenance.errors import MaintenanceError
from ops.maintenance.queries import Window

_EXAMPLES = """
examples:
  manage maintenance on                                       closed until it's switched off
  manage maintenance on --for 30m --message "We move to a new database." --reason "CHANGE-481"
  manage maintenance status --format json | jq .is_on
  manage maintenance off --reason "CHANGE-481 is done"

While it's on, requests get 503 with Retry-After, and open sockets are told and closed. Staff pass, and so do the login
page, /healthz/, /metrics and static files. Workers go on with their tasks. All processes notice within a second. Each
switch is in the ledger, as ops.maintenance.created or .updated. To switch on what is on changes its message and end.
The page /ops/maintenance/ does all of it too, and so does the API.
"""


class Command(BaseCommand):
    help = "Closes the platform for all but staff while somebody works on it, and opens it again."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        show_examples(parser, _EXAMPLES)
        parser.add_argument("what", choices=["on", "off", "status"])
        parser.add_argument("--message", default="", help="For whoever is turned away.")
        parser.add_argument("--for", dest="span", type=duration, metavar="TIME", help="It ends after that by itself.")
        parser.add_argument("--reason", type=_reason, default="", help="Why, for the ledger.")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        what, span = options["what"], options["span"]
        if what != "on" and (span or options["message"]):
            raise CommandError("--for and --message go with `maintenance on` alone.")
        note = ""
        with audit.reason(options["reason"]):
            if what == "on":
                ends_at = timezone.now() + span if span else None
                try:
                    actions.begin_maintenance(actor=None, message=options["message"], ends_at=ends_at)
                except MaintenanceError as error:
                    raise CommandError(str(error)) from error
            elif what == "off" and not actions.end_maintenance(actor=None):
                note = " It was off already."
        window = queries.read()
        if options["format"] == "json":
            self.stdout.write(json.dumps(queries.as_dict(window)))
        else:
            self.stdout.write(_told(window) + note)


def _told(window: Window | None) -> str:
    if window is None:
        return "Maintenance mode is off."
    end = f"ends at {window.ends_at:%Y-%m-%d %H:%M:%S} UTC" if window.ends_at else "ends by `manage maintenance off`"
    message = f" It says: {window.message}" if window.message else ""
    return f"Maintenance mode is on since {window.begun_at:%Y-%m-%d %H:%M:%S} UTC, and {end}.{message}"


def _reason(text: str) -> str:
    if len(text) > 500:
        raise ArgumentTypeError("A reason has at most 500 characters.")
    return text
