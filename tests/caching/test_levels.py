"""A level keeps what is good, makes what isn't, and makes it once however many wait."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction

from caching import entries, generations, levels, turns
from caching.connection import ask
from caching.dependencies import depends_on, leave_unstored
from caching.levels import Level
from caching.memory import Memory
from caching.metrics import LOOKUPS, REBUILD_DURATION, WAITS
from tests.caching.conftest import RedisAway, Source

THING = ["tests.thing:1"]


def test_what_is_kept_is_not_made_again_in_this_process_or_another(
    here: Level, elsewhere: Level, source: Source
) -> None:
    assert [level.fetch("x", source.read) for level in (here, here, elsewhere, elsewhere)] == ["first"] * 4
    assert source.readings == 1


def test_after_a_change_nobody_gets_what_was(here: Level, elsewhere: Level, source: Source) -> None:
    for level in (here, elsewhere):
        level.fetch("x", source.read)
    source.text = "second"
    generations.invalidate(THING)
    assert [level.fetch("x", source.read) for level in (elsewhere, here)] == ["second", "second"]
    assert source.readings == 2


def test_what_redis_forgot_the_generations_of_is_made_again(here: Level, source: Source) -> None:
    for _ in range(2):  # made just now, and found good since
        here.fetch("x", source.read)
        ask(lambda redis: redis.flushdb())
        assert here.recall("x") is None
        here.fetch("x", source.read)
        here.fetch("x", source.read)
        ask(lambda redis: redis.flushdb())
    assert source.readings == 4


def test_what_was_being_made_during_a_change_is_not_kept_after_it(
    here: Level, elsewhere: Level, source: Source
) -> None:
    def read_while_it_changes() -> str:
        text = source.read()
        source.text = "second"
        generations.invalidate(THING)
        return text

    assert here.fetch("x", read_while_it_changes) == "first"  # asked for before the change
    assert [level.fetch("x", source.read) for level in (here, elsewhere)] == ["second", "second"]


def test_a_change_of_something_else_leaves_it_kept(here: Level, source: Source) -> None:
    here.fetch("x", source.read)
    generations.invalidate(["tests.thing:2", "tests.others"])
    here.fetch("x", source.read)
    assert source.readings == 1


def test_a_whole_depends_on_what_its_parts_do(here: Level, source: Source) -> None:
    parts = Level("fragment")

    def whole() -> str:
        depends_on("tests.whole")
        return "<" + parts.fetch("part", source.read) + ">"

    parts.fetch("part", source.read)  # kept before the whole is made
    assert here.fetch("whole", whole) == "<first>"
    source.text = "second"
    generations.invalidate(THING)
    assert here.fetch("whole", whole) == "<second>"


def test_within_a_transaction_nothing_is_kept_or_taken(here: Level, source: Source) -> None:
    with transaction.atomic():
        here.fetch("x", source.read)
    here.fetch("x", source.read)
    with transaction.atomic():
        source.text = "not committed"
        assert here.fetch("x", source.read) == "not committed"
        assert here.recall("x") is None
    assert here.fetch("x", source.read) == "first"


def test_what_names_no_dependency_is_not_kept(here: Level) -> None:
    made: list[int] = []
    for _ in range(2):
        here.fetch("x", lambda: made.append(1) or "text")
    assert len(made) == 2


def test_what_says_so_is_not_kept(here: Level, source: Source) -> None:
    def read() -> str:
        leave_unstored("tests")
        return source.read()

    here.fetch("x", read)
    here.fetch("x", read)
    assert source.readings == 2


def test_an_error_is_the_callers_and_leaves_no_lock(here: Level, source: Source) -> None:
    def fail() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        here.fetch("x", fail)
    assert here.fetch("x", source.read) == "first"


# --- many at a time ------------------------------------------------------------------------------------------------


class Gate:
    """A build that begins and then waits to be let on."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.begun = threading.Event()
        self.go = threading.Event()

    def read(self) -> str:
        text = self.source.read()
        self.begun.set()
        assert self.go.wait(60)
        return text


def run(level: Level, build: Callable[[], str]) -> str:
    try:
        return str(level.fetch("x", build))
    finally:
        database.close()


def test_two_hundred_waiting_readers_of_two_processes_cost_one_rebuild(
    here: Level, elsewhere: Level, source: Source, wait_until: Callable[..., Any]
) -> None:
    gate = Gate(source)
    with ThreadPoolExecutor(200) as pool:
        readers = [pool.submit(run, (here, elsewhere)[number % 2], gate.read) for number in range(200)]
        assert gate.begun.wait(60)
        # All the others found somebody at it: of each process one thread holds the turn.
        wait_until(lambda: here._turns._running and elsewhere._turns._running)
        gate.go.set()
        assert {reader.result(60) for reader in readers} == {"first"}
    assert source.readings == 1


def test_readers_who_come_after_a_change_get_the_new_one_though_the_old_is_still_being_made(
    here: Level, elsewhere: Level, source: Source
) -> None:
    gate = Gate(source)
    with ThreadPoolExecutor(8) as pool:
        early = pool.submit(run, here, gate.read)
        assert gate.begun.wait(60)
        source.text = "second"
        generations.invalidate(THING)
        late = [pool.submit(run, level, source.read) for level in (here, elsewhere, here, elsewhere)]
        gate.go.set()
        assert early.result(60) == "first"
        assert [reader.result(60) for reader in late] == ["second"] * 4


def test_what_is_only_old_is_served_while_one_renews_it(
    here: Level, elsewhere: Level, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.fetch("x", source.read)
    elsewhere.fetch("x", source.read)
    monkeypatch.setattr(entries.Entry, "age_seconds", entries.FRESH_SECONDS + 1)
    gate = Gate(source)
    with ThreadPoolExecutor(2) as pool:
        renewing = pool.submit(run, here, gate.read)
        assert gate.begun.wait(60)
        assert run(here, gate.read) == "first"
        assert run(elsewhere, gate.read) == "first"
        gate.go.set()
        renewing.result(60)
    assert source.readings == 2


def test_what_is_over_is_served_to_nobody(here: Level, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    here.fetch("x", source.read)
    with monkeypatch.context() as patched:
        patched.setattr(entries.Entry, "age_seconds", entries.KEPT_SECONDS + 1)
        source.text = "second"
        assert here.recall("x") is None
        assert here.fetch("x", source.read) == "second"


def test_the_lock_of_a_rebuilder_that_died_ends_by_itself(
    here: Level, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(lambda redis: redis.set(f"{here._key('x')}:lock", "the dead one's", px=300))
    assert run(here, source.read) == "first"
    assert source.readings == 1


def test_a_reader_gives_up_waiting_and_makes_it_alone(
    here: Level, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels, "_WAIT_SECONDS", 0.2)
    ask(lambda redis: redis.set(f"{here._key('x')}:lock", "a slow one's", px=60_000))
    before = WAITS.labels("page", "gave_up").value
    assert run(here, source.read) == "first"
    assert WAITS.labels("page", "gave_up").value == before + 1


def test_a_rebuilder_frees_its_own_lock_alone() -> None:
    with turns.locked("tests:lock") as is_ours:
        assert is_ours
        ask(lambda redis: redis.set("tests:lock", "another's"))
    assert ask(lambda redis: redis.get("tests:lock")) == b"another's"
    with turns.locked("tests:lock") as is_ours:
        assert not is_ours


# --- Redis away ----------------------------------------------------------------------------------------------------


def test_without_redis_everything_is_made_and_nothing_fails(here: Level, source: Source, redis_away: RedisAway) -> None:
    here.fetch("x", source.read)
    with redis_away():
        source.text = "second"
        assert here.fetch("x", source.read) == "second"
        assert here.recall("x") is None


def test_what_changed_while_redis_was_away_does_not_come_back(
    here: Level, elsewhere: Level, source: Source, redis_away: RedisAway, wait_until: Callable[..., Any]
) -> None:
    for level in (here, elsewhere):
        level.fetch("x", source.read)
    with redis_away():
        source.text = "second"
        generations.invalidate(THING)
    assert here.fetch("x", source.read) == "second"
    assert elsewhere.fetch("x", source.read) == "second"


def test_redis_that_goes_away_during_a_rebuild_costs_no_second_one(
    here: Level, source: Source, redis_away: RedisAway
) -> None:
    with ExitStack() as stack:

        def read() -> str:
            stack.enter_context(redis_away())
            return source.read()

        assert here.fetch("x", read) == "first"
    assert source.readings == 1


# --- bounds and figures --------------------------------------------------------------------------------------------


def entry_of(size_bytes: int) -> entries.Entry:
    return entries.Entry("x", generations.Moment(b"e", b"1"), (), 0.0, size_bytes)


def test_the_process_keeps_what_was_used_last_within_its_bounds() -> None:
    memory = Memory(most_entries=3, most_bytes=800)
    for name in "abc":
        memory.put(name, entry_of(90))
    memory.get("a")
    memory.put("d", entry_of(90))
    assert [name for name in "abcd" if memory.get(name)] == ["a", "c", "d"]
    memory.put("e", entry_of(101))  # more than an eighth of all
    assert memory.get("e") is None
    roomy = Memory(most_entries=100, most_bytes=800)
    for number in range(20):
        roomy.put(str(number), entry_of(100))
    assert len(roomy) == 8


def test_each_level_counts_its_look_ups_and_rebuilds(here: Level, elsewhere: Level, source: Source) -> None:
    def figures() -> dict[str, float]:
        told = {
            f"{tier} {result}": LOOKUPS.labels("page", tier, result).value
            for tier in ("memory", "redis")
            for result in ("hit", "miss", "stale")
        }
        return told | {"seconds": REBUILD_DURATION.labels("page").value}

    before = figures()
    here.fetch("x", source.read)
    here.fetch("x", source.read)
    elsewhere.fetch("x", source.read)
    generations.invalidate(THING)
    here.fetch("x", source.read)
    after = figures()
    assert {name: after[name] - before[name] for name in before if name != "seconds"} == {
        "memory hit": 1,
        "memory miss": 2,
        "memory stale": 1,
        "redis hit": 1,
        "redis miss": 1,
        "redis stale": 1,
    }
    assert after["seconds"] > before["seconds"]
