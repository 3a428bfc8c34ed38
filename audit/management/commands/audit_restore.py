"""`manage audit_restore`: an object back to what the ledger has of a time."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import recording, values
from audit.errors import AuditError
from audit.history import restoring
from audit.history.restoring import Plan
from audit.management.help import show_examples
from audit.reading import filters

_EXAMPLES = """
examples:
  manage audit_restore blog.post 42 --at 2026-03-01T14:30:00Z
      what would change, and what can't be restored
  manage audit_restore blog.post 42 --at 2026-03-01T14:30:00Z --reason "Defaced, see ticket 123" --apply
      do it; a deleted object is created again
  manage audit_restore inventory.slot '[3,"a/b"]' --at 2026-03-01 --format json
      a composite key, and the plan for programs

Without --apply nothing is written. Only the object's own rows and many-to-many fields are restored. Afterwards the
ledger has the change itself, with the reason, and an event such as blog.post.restored.
"""


class Command(BaseCommand):
    help = "Restores an object to what it was at a time, by what the ledger holds."

    def add_arguments(self, parser: CommandParser) -> None:
        show_examples(parser, _EXAMPLES)
        parser.add_argument("type", metavar="TYPE", help="The object's type, such as blog.post.")
        parser.add_argument("pk", metavar="PK", help="Its primary key; a composite one as a JSON array.")
        parser.add_argument("--at", required=True, metavar="TIME", help="ISO 8601; UTC where no offset is given.")
        parser.add_argument("--reason", default="", metavar="TEXT", help="Why; needed with --apply.")
        parser.add_argument("--apply", action="store_true", help="Do it.")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        object_type, object_id = options["type"].lower(), options["pk"]
        event_id = None
        try:
            at = filters.moment(options["at"])
            if options["apply"]:
                restoring.checked_reason(options["reason"])
            plan = restoring.plan(object_type, object_id, at)
            recording.record("audit.ledger.read", target=(object_type, object_id), changes={"at": at.isoformat()})
            if options["apply"]:
                event_id = restoring.apply(plan, options["reason"])
        except (AuditError, ValueError) as error:
            raise CommandError(str(error)) from error
        if options["format"] == "json":
            self.stdout.write(values.dumps({**asdict(plan), "applied": options["apply"], "event": event_id}).decode())
        else:
            self._tell(plan, event_id)

    def _tell(self, plan: Plan, event_id: int | None) -> None:
        is_done = event_id is not None
        what = {
            "create": "was created again" if is_done else "would be created again",
            "update": f"{'changed' if is_done else 'would change'} {len(plan.changes)} field(s)",
            "nothing": "nothing to restore",
        }[plan.action]
        self.stdout.write(f"{plan.object_type} {plan.object_id} as of {plan.at.isoformat()}: {what}")
        for name, (now, then) in plan.changes.items():
            self.stdout.write(f"  {name}: {values.dumps(now).decode()} -> {values.dumps(then).decode()}")
        for name, why in plan.skipped.items():
            self.stdout.write(f"  {name} stays as it is. {why}")
        if is_done:
            self.stdout.write(f"Recorded as event {event_id}.")
        elif plan.action != "nothing":
            self.stdout.write("Nothing is written yet. Do it with --apply and --reason.")
