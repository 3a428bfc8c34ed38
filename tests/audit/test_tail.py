"""A tail shows each event once, however late its transaction commits, and goes on from any of its cursors."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from audit.errors import CursorError
from audit.live import tail
from audit.models import Event
from audit.reading import filters
from audit.reading.access import EVERYTHING
from audit.reading.cursors import Cursor, begun, parse
from tests.audit.everything.models import Tag, Thing

pytestmark = pytest.mark.django_db(transaction=True)

TAGS = filters.parse({"action": "everything.tag.created"}, EVERYTHING)


@contextmanager
def another_connection() -> Iterator[psycopg.Connection]:
    """A connection of the application's, with its own transactions."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None, "context": None}) as opened:
        yield opened


def add_tag(on: psycopg.Connection, name: str) -> None:
    on.execute("INSERT INTO everything_tag (name) VALUES (%s)", [name])


def names(batch: tail.Batch) -> list[str]:
    return [event.changes["name"] for event in batch.events]


def test_a_tail_begins_now_and_shows_what_comes() -> None:
    Tag.objects.create(name="before")
    cursor = tail.begin()
    Tag.objects.create(name="after")
    Thing.objects.create(name="something else")

    batch = tail.read(TAGS, cursor)

    assert (names(batch), batch.is_last) == (["after"], True)
    assert names(tail.read(TAGS, batch.cursor)) == []


def test_an_event_with_a_lower_id_that_commits_late_is_shown() -> None:
    cursor = tail.begin()
    with another_connection() as late:
        add_tag(late, "late")
        Tag.objects.create(name="early")
        first = tail.read(TAGS, cursor)
        late.commit()
    second = tail.read(TAGS, parse(str(first.cursor)))

    assert (names(first), names(second)) == (["early"], ["late"])
    assert second.events[0].pk < first.events[0].pk


def test_what_is_rolled_back_is_never_shown() -> None:
    cursor = tail.begin()
    with another_connection() as undone:
        add_tag(undone, "undone")
        assert names(tail.read(TAGS, cursor)) == []
        undone.rollback()

    assert names(tail.read(TAGS, cursor)) == []


def test_each_batchs_cursor_goes_on_exactly_behind_it() -> None:
    cursor = tail.begin()
    Tag.objects.bulk_create([Tag(name=str(number)) for number in range(7)])
    shown: list[list[str]] = []
    is_last = False
    while not is_last:
        batch = tail.read(TAGS, cursor, limit=3)
        Tag.objects.create(name=f"after {batch.events[-1].changes['name']}")
        cursor, is_last = parse(str(batch.cursor)), batch.is_last
        shown.append(names(batch))

    # What came while it was read is of the next snapshot.
    assert shown == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    assert names(tail.read(TAGS, cursor)) == ["after 2", "after 5", "after 6"]


def test_nothing_is_missed_or_doubled_while_many_commit_in_any_order() -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")  # noqa: T201  shown where the test fails
    cursor = tail.begin()
    written: list[list[str]] = [[] for _ in range(6)]

    def write(number: int) -> None:
        dice = random.Random(seed + number)
        with another_connection() as first, another_connection() as second:
            for step in range(40):
                on = dice.choice([first, second])
                name = f"{number}-{step}"
                add_tag(on, name)
                match dice.randrange(3):
                    case 0:
                        first.commit()
                        second.commit()
                    case 1:
                        second.commit()
            first.commit()
            second.commit()
            add_tag(first, f"{number} undone")
            first.rollback()
            written[number] = [f"{number}-{step}" for step in range(40)]

    writers = [threading.Thread(target=write, args=(number,)) for number in range(len(written))]
    for writer in writers:
        writer.start()
    shown: list[str] = []
    is_over = False
    while not is_over:
        is_over = not any(writer.is_alive() for writer in writers)  # before the last reading
        batch = tail.read(TAGS, parse(str(cursor)), limit=7)
        while True:
            shown += names(batch)
            cursor = batch.cursor
            if batch.is_last:
                break
            batch = tail.read(TAGS, parse(str(cursor)), limit=7)

    assert len(shown) == len(set(shown)), f"seed {seed}"
    assert set(shown) == {name for names in written for name in names}, f"seed {seed}"
    assert len(shown) == 240


def test_the_ledger_is_not_asked_while_no_transaction_ends() -> None:
    cursor = tail.read(TAGS, tail.begin()).cursor

    with CaptureQueriesContext(connection) as asked:
        batch = tail.read(TAGS, cursor)

    assert (batch.events, batch.cursor) == ([], cursor)
    assert [query["sql"] for query in asked if "audit_event" in query["sql"]] == []


def test_a_cursor_without_a_snapshot_begins_with_all_that_matches_oldest_first() -> None:
    for name in "abc":
        Tag.objects.create(name=name)
    batch = tail.read(TAGS, tail.begin(Cursor()), limit=2)

    assert (names(batch), batch.is_last) == (["a", "b"], False)
    assert names(tail.read(TAGS, batch.cursor)) == ["c"]


def _of_now(**changes: Any) -> Cursor:
    now = begun(Cursor())
    return Cursor("oldest", now.database, **changes)


@pytest.mark.parametrize(
    "cursor",
    [
        lambda: Cursor(database="42"),
        lambda: _of_now(seen="9:5:"),
        lambda: _of_now(seen="5:9:99"),
        lambda: _of_now(seen="4000000000:4000000000:"),
        lambda: _of_now(snapshot="4000000000:4000000000:"),
    ],
    ids=["another database", "no snapshot", "nor this", "of another life", "and this"],
)
def test_a_cursor_that_would_miss_something_is_refused(cursor: Callable[[], Cursor]) -> None:
    with pytest.raises(CursorError):
        tail.begin(cursor())


def test_a_database_that_went_back_in_time_is_noticed() -> None:
    with pytest.raises(CursorError):
        tail.read(TAGS, _of_now(seen="4000000000:4000000000:"))


def test_a_tail_outlives_the_databases_absence_and_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = tail.begin()
    Tag.objects.create(name="one")
    read, failures = tail.read, iter([OperationalError("gone"), OperationalError("gone")])

    def fails_at_first(*args: Any, **kwargs: Any) -> tail.Batch:
        for failure in failures:
            raise failure
        return read(*args, **kwargs)

    monkeypatch.setattr(tail, "read", fails_at_first)
    waits: list[float] = []
    batches = tail.follow(TAGS, cursor, lambda seconds: waits.append(seconds) or len(waits) > 3)  # type: ignore[func-returns-value]

    assert [batch and names(batch) for batch in batches] == [None, None, ["one"], []]
    assert waits == [2.0, 4.0, 1.0, 1.0]


def test_following_ends_after_so_many_events() -> None:
    cursor = tail.begin()
    Tag.objects.bulk_create([Tag(name=str(number)) for number in range(5)])

    batches = [batch for batch in tail.follow(TAGS, cursor, lambda seconds: False, most=3) if batch]

    assert [names(batch) for batch in batches] == [["0", "1", "2"]]
    assert names(tail.read(TAGS, batches[-1].cursor)) == ["3", "4"]


def test_a_tail_that_shows_itself_does_not_loop() -> None:
    search = filters.parse({"action": "audit.ledger."}, EVERYTHING)
    cursor = tail.begin()
    tail.record_opened(search)
    first = tail.read(search, cursor)
    second = tail.read(search, first.cursor)
    tail.record_closed(search, 1)

    assert [event.action for event in first.events] == ["audit.ledger.tail_opened"]
    assert second.events == []
    closed = Event.objects.get(action="audit.ledger.tail_closed")
    assert closed.changes == {"filters": {"action": "audit.ledger."}, "events": 1}
