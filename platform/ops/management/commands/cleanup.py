"""`manage cleanup`: removes what is of no more use, or says what it would remove."""

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from audit.management.help import show_examples
from ops.cleanup import actions
from ops.cleanup.errors import UnknownKindError
from ops.cleanup.kinds import known_kinds, meaning_of
from ops.durations import duration
from ops.progress import progress_bar

_EXAMPLES = """
examples:
  manage cleanup --dry-run                         what would go: how many, how large, and some examples
  manage cleanup
  manage cleanup --only sessions --only spans
  manage cleanup --only task-runs --older-than 7d
  manage cleanup --dry-run --format json | jq '.kinds[] | select(.count > 0)'

kinds:
{kinds}

What was removed is in the ledger, as ops.rubbish.removed; a dry run changes nothing, and isn't. A worker does the same
each night. It exits with 1 where something could not be removed; the rest is gone all the same.
"""


class Command(BaseCommand):
    help = "Removes expired sessions, old task runs, exports and files that nothing needs any more."

    def add_arguments(self, parser: CommandParser) -> None:
        known = known_kinds()
        width = max(map(len, known))
        kinds = "\n".join(f"  {name:<{width}}  {meaning_of(kind)}" for name, kind in known.items())
        show_examples(parser, _EXAMPLES.format(kinds=kinds))
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be removed.")
        parser.add_argument(
            "--only", action="extend", nargs="+", default=[], metavar="KIND", help="Only this; several may be given."
        )
        parser.add_argument(
            "--older-than", type=duration, metavar="AGE", help="What is older than 12h, 7d or 4w, not what is usual."
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        is_dry_run = options["dry_run"]
        try:
            with progress_bar(
                "Looking for" if is_dry_run else "Removing", is_quiet=options["verbosity"] == 0
            ) as advance:
                heaps = actions.clean_up(
                    options["only"],
                    age=options["older_than"],
                    is_dry_run=is_dry_run,
                    progress=advance and (lambda kind, count: advance(kind, count, None)),
                )
        except UnknownKindError as error:
            raise CommandError(str(error)) from error
        if options["format"] == "json":
            told = {"dry_run": is_dry_run, "kinds": [actions.as_dict(heap) for heap in heaps]}
            self.stdout.write(json.dumps(told))
        else:
            self._tell(heaps, is_dry_run)
        if any(heap.failed for heap in heaps):
            sys.exit(1)

    def _tell(self, heaps: list[actions.Heap], is_dry_run: bool) -> None:
        width = max(len(heap.kind) for heap in heaps)
        for heap in heaps:
            size = filesizeformat(heap.size_bytes).replace("\xa0", " ") if heap.size_bytes else ""
            line = f"{heap.kind:<{width}}  {heap.count:>9,}  {size:>9}  {'; '.join(heap.examples)}"
            self.stdout.write(line.rstrip())
            for failure in heap.failed:
                self.stderr.write(self.style.ERROR(f"{heap.kind}: could not be removed: {failure}"))
        total = f"{sum(heap.count for heap in heaps):,}"
        self.stdout.write(f"Dry run: {total} would be removed, and nothing was." if is_dry_run else f"{total} removed.")
