"""`manage trace`: one request's story in the terminal."""

import shutil
import sys
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError, CommandParser

import audit
from audit.errors import FilterError, SearchTooLongError
from audit.management.help import show_examples
from audit.reading.access import Access
from audit.values import dumps
from ops import data, lookup, story, terminal

_EXAMPLES = """
examples:
  manage trace 01a20a147022726bbca69b411c9f6b6f      by the id at a page's foot, or X-Request-ID of an answer
  manage trace 30e0d5bf376d27c47afce5d1f8ca0097      by a trace id
  manage trace 01a20a13-5806-7e2e-aa24-03134997b5fb  by the id of a background task
  manage trace author                                the latest requests of a user; user:7 by the user's id
  manage trace blog.post/42                          the latest requests that changed an object
  manage trace ID --format json | jq '.findings[].text'

It exits with 1 where nothing is known of the id. Personal values of the ledger stay hidden; that it was read is an
event too.
"""

# It shows as much as the request page does to a developer.
_ACCESS = Access(object_types=None)


class Command(BaseCommand):
    help = "Tells what one request caused, in all processes: its spans, SQL, tasks, pushes, changes and log lines."

    def add_arguments(self, parser: CommandParser) -> None:
        show_examples(parser, _EXAMPLES)
        parser.add_argument("id", help="A request, trace or task id, a username, user:<id>, or <type>/<id>.")
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument("--width", type=int, metavar="N", help="Characters of a line; by default the terminal's.")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted, is_json = options["id"].strip(), options["format"] == "json"
        try:
            target = lookup.find(wanted)
        except redis.RedisError:
            target = lookup.Target("request", wanted)
        if target.kind in ("user", "object"):
            self._list(target, is_json)
        elif target.kind == "request":
            width = options["width"] or shutil.get_terminal_size((100, 24)).columns
            self._tell(target.id, is_json, width)
        else:
            self._give_up(wanted)

    def _tell(self, request_id: str, is_json: bool, width: int) -> None:
        told = story.tell(request_id)
        if told.is_empty:
            self._give_up(request_id, told.missing)
        if told.event_count:
            asked = {"request": request_id}
            audit.record("audit.ledger.read", changes={"filters": asked, "events": told.event_count})
        if is_json:
            self.stdout.write(dumps(data.as_json(told, _ACCESS)).decode())
        else:
            self.stdout.write(terminal.as_text(told, width=width, paint=self._paint))

    def _list(self, target: lookup.Target, is_json: bool) -> None:
        is_user = target.kind == "user"
        asked = {"actor": target.id} if is_user else {"object_type": target.type, "object_id": target.id}
        try:
            if is_user:
                rows, count = lookup.requests_of_user(target.id)
            else:
                rows, count = lookup.requests_of_object(target.type, target.id)
        except (FilterError, SearchTooLongError) as error:
            raise CommandError(str(error)) from error
        if count:
            audit.record("audit.ledger.read", changes={"filters": asked, "events": count})
        if not rows:
            self._give_up(f"{target.type}/{target.id}" if target.type else target.id)
        if is_json:
            self.stdout.write(dumps({"requests": [row.as_dict() for row in rows]}).decode())
        else:
            self.stdout.write(terminal.rows_as_text(rows))

    def _give_up(self, wanted: str, missing: list[str] | None = None) -> None:
        for sentence in missing or ():
            self.stderr.write(sentence)
        self.stderr.write(self.style.ERROR(f"Nothing is known of {wanted}. Spans are kept for an hour."))
        sys.exit(1)

    def _paint(self, text: str, kind: str) -> str:
        styles = {"bad": self.style.ERROR, "warn": self.style.WARNING, "head": self.style.MIGRATE_HEADING}
        return styles[kind](text) if kind in styles else text
