"""What was made before a change is never good after it, whatever Redis loses or misses."""

from collections.abc import Callable
from typing import Any

import pytest

from caching import connection, generations
from caching.dependencies import dependency, every
from caching.errors import AwayError
from tests.caching.conftest import RedisAway

ONE = (dependency("tests.thing", 1), every("tests.thing"))
TWO = (dependency("tests.thing", 2), every("tests.thing"))


def is_good(moment: generations.Moment, dependencies: tuple[str, ...]) -> bool:
    _, (is_so,) = generations.still_good([(moment, dependencies)])
    return is_so


def test_a_change_moves_on_what_changed_and_nothing_else() -> None:
    moment = generations.begin()
    assert is_good(moment, ONE)
    generations.invalidate([ONE[0]])
    assert not is_good(moment, ONE)
    assert is_good(moment, TWO)
    assert is_good(generations.begin(), ONE)


def test_a_change_of_nobody_knows_which_moves_on_all_of_a_kind() -> None:
    moment = generations.begin()
    generations.invalidate([every("tests.thing")])
    assert not is_good(moment, ONE)
    assert not is_good(moment, TWO)
    assert is_good(moment, ("tests.others",))


def test_what_was_begun_before_a_change_is_not_good_after_it() -> None:
    begun = generations.begin()
    generations.invalidate([ONE[0]])
    generations.invalidate([TWO[0]])
    later = generations.begin()
    assert not is_good(begun, ONE)
    assert is_good(later, ONE)


def test_a_redis_that_forgot_the_generations_makes_nothing_good(redis_client: Any) -> None:
    """As after an eviction, a restart without persistence or FLUSHDB."""
    moment = generations.begin()
    connection.ask(lambda redis: redis.delete(connection.key_for("generations")))
    assert generations.now() is None
    assert not is_good(moment, ONE)
    generations.begin()
    assert not is_good(moment, ONE)


def test_the_generations_do_not_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "_MOVE_ON", generations._MOVE_ON.replace("50000", "10"))
    moment = generations.begin()
    for number in range(8):
        generations.invalidate([f"tests.thing:{number}"])
    assert is_good(moment, ("tests.others",))
    for number in range(8, 20):
        generations.invalidate([f"tests.thing:{number}"])
    assert not is_good(moment, ("tests.others",))
    assert connection.ask(lambda redis: redis.hlen(connection.key_for("generations"))) <= 12


def test_a_redis_that_is_full_still_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = generations.begin()

    def fill(size: str) -> None:
        connection.ask(lambda redis: redis.config_set("maxmemory", size))

    fill("1")
    try:
        generations.invalidate([ONE[0]])
        assert not is_good(moment, ONE)
    finally:
        fill("0")


def test_a_change_that_redis_missed_is_told_when_it_is_back(
    redis_away: RedisAway, wait_until: Callable[..., Any]
) -> None:
    moment = generations.begin()
    with redis_away():
        generations.invalidate([ONE[0]])
        with pytest.raises(AwayError):
            generations.now()
        assert set(generations._unsent) == {ONE[0]}
    wait_until(lambda: not generations._unsent)
    assert not is_good(moment, ONE)
    assert is_good(moment, TWO)


def test_a_process_that_has_something_to_tell_tells_it_before_it_looks(redis_away: RedisAway) -> None:
    moment = generations.begin()
    with redis_away():
        generations.invalidate([ONE[0]])
    assert not is_good(moment, ONE)


def test_too_many_changes_that_redis_missed_become_one_of_everything(redis_away: RedisAway) -> None:
    moment = generations.begin()
    with redis_away():
        generations.invalidate([f"tests.thing:{number}" for number in range(2_000)])
        assert set(generations._unsent) == {"*"}
    assert not is_good(moment, ("tests.others",))


def test_a_redis_that_failed_is_asked_again_after_a_second_by_one_thread(
    redis_away: RedisAway, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr(connection.time, "monotonic", lambda: now)
    asked: list[Any] = []

    def hang(redis: Any) -> None:
        asked.append(redis)
        with pytest.raises(AwayError):  # another thread, meanwhile
            connection.ask(asked.append)
        raise ConnectionError("no answer in time")

    with redis_away(), pytest.raises(AwayError):
        generations.begin()
    connection._away_until = now + 1
    for _ in range(2):
        with pytest.raises(AwayError):
            connection.ask(hang)
    assert asked == []
    now += 1
    for _ in range(2):
        with pytest.raises(AwayError):
            connection.ask(hang)
    assert len(asked) == 1
    now += 1
    assert connection.ask(lambda redis: redis.ping())
    assert generations.begin()
