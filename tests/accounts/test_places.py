"""How many sockets somebody may have, over all processes."""

import threading
import time
from typing import Any

import pytest

from accounts import metrics, places
from accounts.places import Place, Places
from caching import connection
from tests.conftest import WaitUntil

_USER, _ADDRESS = "places:test:user:{}", "places:test:address:203.0.113.7"


@pytest.fixture(autouse=True)
def _nothing_is_held(servers: Any) -> None:
    connection.ask(lambda redis: redis.delete(_ADDRESS, *[_USER.format(user) for user in (1, 2, 3)]))


def place(user_id: int = 1) -> Place:
    return Place({_USER.format(user_id): 2, _ADDRESS: 3})


def test_a_person_has_so_many_places_in_all_processes_together() -> None:
    one, other = Places("one"), Places("other")
    first, second = place(), place()
    assert one.take(first)
    assert other.take(second)
    refused = place()
    assert not one.take(refused)
    assert not other.take(place())
    one.leave(refused)  # which it never got
    assert not other.take(place())
    one.leave(first)
    one.leave(first)
    assert other.take(place())
    assert not one.take(place())


def test_an_address_has_so_many_whoever_it_is() -> None:
    one, other = Places("one"), Places("other")
    assert all(process.take(place(user)) for process, user in ((one, 1), (other, 2), (other, 3)))
    assert not one.take(place(2))
    assert one.take(Place({_USER.format(2): 2}))  # an address that isn't known doesn't count


def test_what_a_process_that_died_held_comes_free(monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(places, "BELIEVED_SECONDS", 1.0)
        dead = Places("dead")
        assert dead.take(place())
        assert dead.take(place())
    alive = Places("alive")
    wait_until(lambda: alive.take(place()))
    alive.renew()
    assert alive.take(place())
    assert not alive.take(place())


def test_what_redis_forgot_is_told_again() -> None:
    one, other = Places("one"), Places("other")
    assert one.take(place())
    assert one.take(place())
    connection.ask(lambda redis: redis.delete(_USER.format(1), _ADDRESS))
    one.renew()
    assert not other.take(place())
    assert connection.ask(lambda redis: 0 < redis.ttl(_USER.format(1)) <= places.BELIEVED_SECONDS)


def test_places_are_held_for_longer_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    is_renewed = threading.Event()
    monkeypatch.setattr(places.OWN, "renew", is_renewed.set)
    monkeypatch.setattr(places, "_renewed_at", time.monotonic() - places.RENEW_SECONDS - 1)
    places.renew_when_due()
    assert is_renewed.wait(10)
    is_renewed.clear()
    places.renew_when_due()
    places.THREAD.submit(str).result(10)  # what was submitted before it is done
    assert not is_renewed.is_set()


def test_without_redis_a_process_goes_by_its_own_numbers_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(question: Any) -> None:
        raise connection.AwayError

    before = metrics.UNCOUNTED.value
    monkeypatch.setattr(places, "ask", fail)
    one, other = Places("one"), Places("other")
    first = place()
    assert one.take(first)
    assert one.take(place())
    assert not one.take(place())
    assert other.take(place())
    one.leave(first)
    assert one.take(place())
    assert metrics.UNCOUNTED.value == before + 4


def test_who_keeps_trying_is_recorded_once_a_minute() -> None:
    process = Places("one")
    refused = place()
    connection.ask(lambda redis: redis.delete(f"{_USER.format(1)}:refused"))
    assert [process.is_first_refusal(refused) for _ in range(3)] == [True, False, False]
