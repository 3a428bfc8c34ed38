"""Levels as two processes have them, on the suite's Redis, and a Redis that goes away and comes back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from caching import connection
from caching.dependencies import depends_on
from caching.levels import Level

Build = Callable[[], str]


@pytest.fixture(autouse=True)
def _redis(transactional_db: None) -> None:
    """Nothing is kept within a transaction, so these tests have none."""


@pytest.fixture
def here() -> Level:
    return Level("page")


@pytest.fixture
def elsewhere() -> Level:
    """Another process: it shares nothing with `here` but Redis."""
    return Level("page")


class Source:
    """What is kept copies of: `text` at its reading, of one thing."""

    def __init__(self, text: str = "first", thing: int = 1) -> None:
        self.text = text
        self.thing = thing
        self.readings = 0

    def read(self) -> str:
        self.readings += 1
        depends_on("tests.thing", self.thing)
        return self.text


@pytest.fixture
def source() -> Source:
    return Source()


RedisAway = Callable[[], Any]


@pytest.fixture
def redis_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisAway]:
    """Return a context in which Redis refuses every connection; it keeps what it holds."""

    @contextmanager
    def away() -> Iterator[None]:
        def refuse(alias: str) -> Any:
            raise ConnectionRefusedError("nobody listens")

        with monkeypatch.context() as patched:
            patched.setattr(connection, "get_redis_connection", refuse)
            yield
        connection._away_until = 0.0

    yield away
    connection._away_until = 0.0
