"""`manage audit_tail`: the ledger's events as they are committed, a line each."""

import json
import os
import re
import select
import signal
import threading
import time
from argparse import ArgumentTypeError
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from types import FrameType
from typing import Any, Self

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import unavailable, values
from audit.errors import AuditError, CursorError
from audit.live import tail
from audit.management.files import silence
from audit.management.help import show_examples
from audit.models import Event
from audit.reading import cursors, filters, showing
from audit.reading.access import EVERYTHING, Access, access_of
from audit.reading.cursors import Cursor
from audit.reading.filters import Search

_EXAMPLES = """
examples:
  manage audit_tail                                        what is committed from now on; Ctrl-C ends it
  manage audit_tail --filter action=blog. --filter 'outcome=!success'
  manage audit_tail --since 2026-03-01T14:30:00Z           what came since then, oldest first, then what comes
  manage audit_tail --format json | jq .changes            one JSON object a line, as the API has it
  manage audit_tail --cursor-file /var/lib/tail --once     what came since the last time, for cron
  manage audit_tail --as auditor                           as that person may see it

The filters are those of the search: /api/docs/ lists them. With --cursor-file nothing is missed between two runs,
however late it was committed, and nothing shown twice; after a crash, the last events may be shown again. The file wins
over --cursor and --since where it exists.
"""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LONGEST_VALUE = 80
_CURSOR_KEPT_EVERY_SECONDS = 60.0
_PLAIN_WORD = re.compile(r"[\w.@:/+-]+")


class Command(BaseCommand):
    help = "Prints the ledger's events as they are committed, each on a line. That it's done is recorded."

    def add_arguments(self, parser: CommandParser) -> None:
        show_examples(parser, _EXAMPLES)
        parser.add_argument("--filter", action="append", type=_pair, default=[], metavar="NAME=VALUE")
        begin = parser.add_mutually_exclusive_group()
        begin.add_argument("--cursor", default="", help="Begin there: the cursor of an earlier tail, or of the API.")
        begin.add_argument("--since", default="", metavar="TIME", help="Begin with what was recorded since, ISO 8601.")
        parser.add_argument("--cursor-file", type=Path, metavar="PATH", help="Keep the place here, and go on from it.")
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument("--once", action="store_true", help="End where there is no more.")
        parser.add_argument("--limit", type=_count, metavar="N", help="End after so many events.")
        parser.add_argument("--as", dest="person", default="", metavar="USER", help="Show what that person may see.")

    def handle(self, *args: Any, **options: Any) -> None:
        asked = dict(options["filter"])
        if len(asked) < len(options["filter"]):
            raise CommandError("A filter was given more than once. Write several values as `this,that`.")
        if options["since"]:
            asked["since"] = options["since"]
        access = _access_of(options["person"]) if options["person"] else EVERYTHING
        about = {"as": options["person"]} if options["person"] else {}
        try:
            search = filters.parse(asked, access)
            cursor = _beginning(options)
            _write(options["cursor_file"], cursor)
            tail.record_opened(search, **about)
        except AuditError as error:
            raise CommandError(str(error)) from error
        except tail.UNAVAILABLE as error:
            if unavailable.is_ledger_failure(error):
                raise CommandError(f"The tail can't be recorded, so it doesn't begin. {error}") from error
            raise
        printed = _Printed(self.stdout, access, options, cursor)
        try:
            self._follow(search, printed, options)
        except AuditError as error:
            raise CommandError(str(error)) from error
        finally:
            try:
                tail.record_closed(search, printed.event_count, **about)
            except tail.UNAVAILABLE as error:
                self.stderr.write(f"That this tail has ended can't be recorded: {type(error).__name__}")

    def _follow(self, search: Search, printed: "_Printed", options: dict[str, Any]) -> None:
        is_away = False
        with _Ending(self.stdout) as ending:
            for batch in tail.follow(search, printed.cursor, ending.wait, most=options["limit"]):
                if batch is None:
                    if options["once"]:
                        raise CommandError("The database doesn't answer. What was printed is kept; try again.")
                    if not is_away:
                        self.stderr.write("The database doesn't answer; waiting for it.")
                    is_away = True
                    continue
                is_away = False
                try:
                    printed.add(batch)
                except BrokenPipeError:
                    silence(self.stdout)  # nobody reads any more, as behind `| head`
                    break
                if options["once"] and batch.is_last:
                    break
            printed.keep_cursor()


class _Printed:
    """What was printed so far: how much, and where that leaves the cursor."""

    def __init__(self, out: Any, access: Access, options: dict[str, Any], cursor: Cursor) -> None:
        self._out = out
        self._access = access
        self._is_json = options["format"] == "json"
        self._file: Path | None = options["cursor_file"]
        self._kept_at = time.monotonic()
        self.cursor = cursor
        self.event_count = 0

    def add(self, batch: tail.Batch) -> None:
        """Print a batch. Its cursor is kept once all of it is out, so that a crash repeats events and loses none."""
        for event in batch.events:
            self._out.write(_json(event, self._access) if self._is_json else _line(event, self._access))
        if batch.events:
            self._out.flush()
        self.cursor = batch.cursor
        self.event_count += len(batch.events)
        # Empty batches come every second where others write; their cursors only spare the next run some searching.
        if batch.events or time.monotonic() - self._kept_at > _CURSOR_KEPT_EVERY_SECONDS:
            self.keep_cursor()

    def keep_cursor(self) -> None:
        """Write the cursor to the file, where there's one."""
        _write(self._file, self.cursor)
        self._kept_at = time.monotonic()


class _Ending:
    """Knows when to end: a signal came, or nobody reads what is printed any more. A second signal ends at once."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._poll = select.poll()
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # A pipe, since nothing else may be waited for together with the output, and told from within a signal handler.
        self._told, self._tell = os.pipe()
        self._poll.register(self._told, select.POLLIN)
        with suppress(OSError, AttributeError):  # it may be no file
            self._poll.register(self._out.fileno(), 0)  # that the other end was closed is told unasked
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._come) for number in _SIGNALS}
        return self

    def __exit__(self, *failure: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        os.close(self._told)
        os.close(self._tell)

    def wait(self, seconds: float) -> bool:
        """Let so much time pass, or less where it's time to end; return whether it is."""
        return bool(self._poll.poll(seconds * 1_000))

    def _come(self, number: int, frame: FrameType | None) -> None:
        os.write(self._tell, b"!")
        signal.signal(number, self._previous[number])


# --- where to begin --------------------------------------------------------------------------------------------------


def _beginning(options: dict[str, Any]) -> Cursor:
    path: Path | None = options["cursor_file"]
    text, source = options["cursor"], "--cursor"
    try:
        if path and path.exists():
            text, source = path.read_text().strip() or "nothing", str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} can't be read: {error}") from error
    if not text and options["since"]:
        return tail.begin(Cursor("oldest"))
    try:
        return tail.begin(cursors.parse(text) if text else None)
    except CursorError as error:
        advice = "Remove the file to begin anew." if source != "--cursor" else ""
        raise CommandError(f"{source}: {error} {advice}".strip()) from error


def _write(path: Path | None, cursor: Cursor) -> None:
    """Write the cursor so that a crash leaves the old one or the new one, and never half of one."""
    if path is None:
        return
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("w") as file:
            file.write(f"{cursor}\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise CommandError(f"The cursor can't be kept in {path}: {error}") from error


def _access_of(username: str) -> Access:
    people = get_user_model()
    try:
        person = people._default_manager.get_by_natural_key(username)
    except people.DoesNotExist as error:
        raise CommandError(f"There is nobody named {username!r}.") from error
    access = access_of(person)
    if not access.is_any:
        raise CommandError(f"{username} may not read the ledger: that needs the permission audit.view_event.")
    return access


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ArgumentTypeError(f"{text!r} isn't of the form NAME=VALUE.")
    if not text.isprintable():
        raise ArgumentTypeError("There's a character in it that can't be printed.")
    return name, value


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 16 and int(text) > 0:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is no number from 1 on.")


# --- lines -----------------------------------------------------------------------------------------------------------


def _json(event: Event, access: Access) -> str:
    return _inert(values.dumps(showing.as_dict(event, access)).decode())


def _line(event: Event, access: Access) -> str:
    """One event for people: time, action, object, actor, outcome, fields."""
    at = event.recorded_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    concerned = " ".join(_word(one) for one in (event.object_type, event.object_id) if one)
    actor = " ".join(_word(one) for one in (event.actor_type, event.actor_id, event.actor_label) if one)
    fields = (f"{_word(name)}={_change(pair)}" for name, pair in showing.differences(event, access).items())
    parts = [at, _word(event.action), concerned or "-", actor or "-", event.outcome, " ".join(fields)]
    return "  ".join(part for part in parts if part)


def _word(text: str) -> str:
    """Return `text` so that it can't be taken for more than one part of a line."""
    return text if _PLAIN_WORD.fullmatch(text) and text.isprintable() else _inert(json.dumps(text, ensure_ascii=False))


def _change(pair: list[Any]) -> str:
    before, after = (_value(one) for one in pair)
    return after if pair[0] is None else f"{before}->{after}"


def _value(value: Any) -> str:
    if value in (showing.PERSONAL, showing.MASKED):
        return f"(hidden: {value['hidden']})"
    text = _inert(values.dumps(value).decode())
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _inert(text: str) -> str:
    """Return `text` with everything escaped, as JSON does it, that could end a line, steer a terminal, or hide itself.

    Python's printable leaves out control characters, marks that turn the direction, and all that can't be seen.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)
