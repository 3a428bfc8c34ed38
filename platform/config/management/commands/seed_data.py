"""`manage seed_data`: believable content, as much of it as is wanted."""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import audit
from accounts.seeding.people import MOST_PEOPLE, delete_seeded_people, seed_people, seeded_people
from audit.management.help import show_examples
from blog.seeding.composing import Blog
from blog.seeding.writing import delete_seeded_posts, seed_posts, seeded_posts
from chat.seeding.writing import delete_seeded_rooms, seed_rooms, seeded_rooms

_EXAMPLES = """
examples:
  manage seed_data --posts 100                    a blog with comments, chat rooms, notifications, and their people
  manage seed_data --posts 100000                 goes on from there: what is missing is made
  manage seed_data --posts 1000 --clear           takes away what earlier runs made, and makes it anew
  manage seed_data --clear                        only takes it away
  manage seed_data --posts 500 --seed 7 --comments-per-post 10 --until today
  manage seed_data --posts 100 --format json | jq .made.comments

The same seed and options give the same content, and the first 100 posts of 1,000 are those of 100. Dates end at
--until, which is a fixed day unless you say otherwise. Whom it makes has names that begin with seed-; where demo
accounts are allowed they log in with the demo password, elsewhere they can't. Every row is in the ledger.

--clear removes what this command made and nothing else: a post or room to which somebody else has added something
stays, and so does a person to whom something belongs.
"""
_UNTIL = "2026-11-01"
_NOUNS = {
    "posts": "posts",
    "comments": "comments",
    "categories": "categories",
    "tags": "tags",
    "rooms": "chat rooms",
    "messages": "messages",
    "notifications": "notifications",
    "people": "people",
}
Tell = Callable[[int], None]


class Command(BaseCommand):
    help = (
        "Makes posts, comments, chat rooms, notifications and their people, to try the platform with; or removes them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        show_examples(parser, _EXAMPLES)
        parser.add_argument("--posts", type=_number(0, 10_000_000), metavar="N", help="So many; 100 without --clear.")
        parser.add_argument(
            "--comments-per-post", type=_average, default=2.0, metavar="N", help="On average (2); few posts get most."
        )
        parser.add_argument("--messages", type=_number(0, 1_000_000), default=2_000, metavar="N", help="In all rooms.")
        parser.add_argument(
            "--users",
            type=_number(2, MOST_PEOPLE),
            default=60,
            metavar="N",
            help="People (60); a quarter of them write.",
        )
        parser.add_argument(
            "--seed", type=_number(0, 2**31), default=1, metavar="N", help="Another number, other content."
        )
        parser.add_argument(
            "--until", type=_day, default=_UNTIL, metavar="DATE", help=f"The last day: a date ({_UNTIL}), or today."
        )
        parser.add_argument("--clear", action="store_true", help="First remove what earlier runs made.")
        parser.add_argument("--no-input", action="store_true", help="Don't ask before --clear.")
        parser.add_argument("--force", action="store_true", help="In production too.")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.DEMO_PASSWORD is None and not options["force"]:
            raise CommandError(
                "These are production settings: made-up content is refused. If you mean it, add --force."
            )
        posts: int | None = options["posts"]
        if posts is None and not options["clear"]:
            posts = 100
        if options["clear"] and not options["no_input"] and sys.stdin.isatty():
            self._confirm()
        begun = time.monotonic()
        removed: Counter[str] = Counter()
        made: Counter[str] = Counter()
        if options["clear"]:
            with audit.reason("seed_data --clear"):
                removed = self._clear()
        if posts is not None:
            with audit.reason(f"seed_data --posts {posts} --seed {options['seed']}"):
                made = self._fill(posts, options)
        self._tell(removed if options["clear"] else None, made if posts is not None else None, begun, options)

    def _confirm(self) -> None:
        counts = Counter(posts=seeded_posts().count(), rooms=seeded_rooms().count(), people=seeded_people().count())
        if not counts.total():
            return
        self.stderr.write(
            f"This deletes {_listing(counts)} with all that belongs to them; the ledger keeps what they were."
        )
        self.stderr.write("Type yes to go on: ", ending="")
        if sys.stdin.readline().strip().lower() != "yes":
            raise CommandError("Nothing was deleted.")

    def _clear(self) -> Counter[str]:
        with _bar("Removing posts", seeded_posts().count()) as tell:
            removed = delete_seeded_posts(progress=tell)
        return removed + delete_seeded_rooms() + Counter(people=delete_seeded_people())

    def _fill(self, posts: int, options: dict[str, Any]) -> Counter[str]:
        until, users = options["until"], options["users"]
        writers = max(1, users // 4)
        people, new = seed_people(users, writers=writers, until=until)
        blog = Blog(options["seed"], people, writers, until, options["comments_per_post"])
        with _bar("Writing posts", posts) as tell:
            made = seed_posts(blog, posts, progress=tell)
        made += seed_rooms(options["seed"], options["messages"], people=people, until=until)
        return made + Counter(people=new)

    def _tell(
        self, removed: Counter[str] | None, made: Counter[str] | None, begun: float, options: dict[str, Any]
    ) -> None:
        seconds = time.monotonic() - begun
        if options["format"] == "json":
            answer: dict[str, Any] = {"seed": options["seed"], "seconds": round(seconds, 2)}
            if removed is not None:
                answer["removed"] = {name: removed[name] for name in _NOUNS}
                answer["kept"] = {"posts": removed["kept_posts"], "rooms": removed["kept_rooms"]}
            if made is not None:
                answer["made"] = {name: made[name] for name in _NOUNS}
            self.stdout.write(json.dumps(answer))
            return
        if removed is not None:
            self.stdout.write(f"Removed: {_listing(removed)}.")
            if kept := Counter(posts=removed["kept_posts"], rooms=removed["kept_rooms"]).total():
                self.stdout.write(f"Kept: {kept} posts or rooms to which others have added something.")
        if made is not None:
            self.stdout.write(f"Made: {_listing(made)}, in {seconds:.1f} s.")


def _listing(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[name]:,} {noun}" for name, noun in _NOUNS.items() if counts[name]) or "nothing"


@contextmanager
def _bar(title: str, total: int) -> Iterator[Tell]:
    """Show how far it is, on a terminal; the summary on standard output stays clean."""
    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = text.replace(",", "").replace("_", "")
        if digits.isascii() and digits.isdigit() and least <= int(digits) <= most:
            return int(digits)
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least:,} to {most:,}.")

    return parse


def _average(text: str) -> float:
    try:
        average = float(text)
    except ValueError:
        average = -1
    if 0 <= average <= 100:
        return average
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 100.")


def _day(text: str) -> datetime:
    try:
        day = datetime.now(UTC) if text == "today" else datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write 2026-03-31, or today.") from error
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
