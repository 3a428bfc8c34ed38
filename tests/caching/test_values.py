"""Counts and lists at the low level."""

from collections.abc import Collection

import pytest
from django.db import transaction

from caching import generations
from caching.values import value, values
from tests.caching.conftest import RedisAway


class Table:
    def __init__(self) -> None:
        self.rows = {1: "one", 2: "two", 3: "three"}
        self.asked: list[list[int]] = []

    def read(self, wanted: Collection[int]) -> dict[int, str]:
        self.asked.append(sorted(wanted))
        return {number: self.rows[number] for number in wanted}

    def count(self) -> int:
        self.asked.append([])
        return len(self.rows)


@pytest.fixture
def table() -> Table:
    return Table()


def test_only_what_is_missing_or_changed_is_asked_for_and_all_of_it_at_once(table: Table) -> None:
    def get(*numbers: int) -> dict[int, str]:
        return values("tests.rows", numbers, table.read, kind="tests.thing")

    assert get(1, 2) == {1: "one", 2: "two"}
    assert get(1, 2, 3) == {1: "one", 2: "two", 3: "three"}
    table.rows[2] = "zwei"
    generations.invalidate(["tests.thing:2"])
    assert get(1, 2, 3)[2] == "zwei"
    assert get() == {}
    assert table.asked == [[1, 2], [3], [2]]


def test_a_value_is_made_once_until_its_kind_changes(table: Table) -> None:
    for _ in range(2):
        assert value("tests.count", table.count, kind="tests.things") == 3
    del table.rows[1]
    generations.invalidate(["tests.others"])
    assert value("tests.count", table.count, kind="tests.things") == 3
    generations.invalidate(["tests.things"])
    assert value("tests.count", table.count, kind="tests.things") == 2
    assert len(table.asked) == 2


def test_nothing_and_none_are_values_too() -> None:
    made: list[int] = []
    for _ in range(2):
        assert value("tests.none", lambda: made.append(1), kind="tests.things") is None
    assert made == [1]


def test_a_value_that_was_read_during_a_change_is_not_kept(table: Table) -> None:
    def count_while_it_changes() -> int:
        number = table.count()
        del table.rows[1]
        generations.invalidate(["tests.things"])
        return number

    assert value("tests.count", count_while_it_changes, kind="tests.things") == 3
    assert value("tests.count", table.count, kind="tests.things") == 2


def test_within_a_transaction_and_without_redis_values_are_made(table: Table, redis_away: RedisAway) -> None:
    value("tests.count", table.count, kind="tests.things")
    values("tests.rows", [1], table.read, kind="tests.thing")
    del table.rows[2]
    table.rows[1] = "eins"
    with transaction.atomic():
        assert value("tests.count", table.count, kind="tests.things") == 2
        assert values("tests.rows", [1], table.read, kind="tests.thing") == {1: "eins"}
    with redis_away():
        assert value("tests.count", table.count, kind="tests.things") == 2
        assert values("tests.rows", [1], table.read, kind="tests.thing") == {1: "eins"}
