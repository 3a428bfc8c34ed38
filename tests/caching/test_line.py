"""A thread's own connection survives what connections don't, and never gives one question another's answer."""

import os
from typing import Any

import pytest

from caching import line
from caching.connection import ask
from caching.errors import AwayError


@pytest.fixture(autouse=True)
def _value() -> None:
    ask(lambda redis: redis.set("tests:line", "here"))


def get() -> Any:
    return line.ask_shortly("GET", "tests:line")


def test_it_is_kept_and_made_anew_where_the_server_closed_it() -> None:
    assert get() == b"here"
    kept = line._line.connection
    assert get() == b"here"
    own = next(one["id"] for one in ask(lambda redis: redis.client_list()) if one["cmd"] == "get")
    ask(lambda redis: redis.client_kill_filter(_id=own))
    assert get() == b"here"
    assert line._line.connection is kept


def test_an_exchange_that_was_broken_off_leaves_no_answer_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    get()
    connection = line._line.connection
    with monkeypatch.context() as patched:

        def give_up(*args: Any, **kwargs: Any) -> Any:
            raise KeyboardInterrupt  # as a task's time limit does, anywhere

        patched.setattr(connection, "read_response", give_up)
        with pytest.raises(KeyboardInterrupt):
            line.ask_shortly("PING")
    assert get() == b"here"


def test_a_child_process_has_a_connection_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    get()
    inherited = line._line.connection
    child = os.getpid() + 1
    monkeypatch.setattr(line.os, "getpid", lambda: child)
    assert get() == b"here"
    assert line._line.connection is not inherited


def test_a_server_that_stays_away_is_away(redis_away: Any) -> None:
    get()
    with redis_away(), pytest.raises(AwayError):
        get()
    assert get() == b"here"
