"""What takes long to start is kept from module to module, as long as each next one asks for it too.

So modules that do come together, and first: with several workers, what takes long isn't left for the end.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

Keep = Callable[[str, Callable[[], AbstractContextManager[Any]]], Any]
_FIXTURES = ("running_platform", "browser")
_MARK = "own_platform"  # of modules that share with no other

_kept: dict[str, tuple[AbstractContextManager[Any], Any]] = {}


@pytest.fixture(scope="session")
def keep() -> Iterator[Keep]:
    """Return a function that gives what is kept by a fixture's name, and makes it where there's none."""

    def give(fixture: str, make: Callable[[], AbstractContextManager[Any]]) -> Any:
        if fixture not in _kept:
            made = make()
            _kept[fixture] = made, made.__enter__()
        return _kept[fixture][1]

    yield give
    for fixture in list(_kept):
        _end(fixture)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End what the next module doesn't ask for."""
    yield
    if nextitem is not None and nextitem.path != item.path:
        is_shared = not any(one.get_closest_marker(_MARK) for one in (item, nextitem))
        for fixture in list(_kept):
            if not is_shared or fixture not in _asked(nextitem):
                _end(fixture)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put modules with a live platform first, then what takes long though its tests are few, then by their number."""
    counts = Counter(item.path for item in items)
    live = {item.path for item in items if _FIXTURES[0] in _asked(item)}
    long = {item.path for item in items if item.get_closest_marker("long")} - live

    def place(item: pytest.Item) -> tuple[int, int, str]:
        if item.path in live:
            return 0, 0, str(item.path)
        return (1 if item.path in long else 2), -counts[item.path], str(item.path)

    items.sort(key=place)


def _asked(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


def _end(fixture: str) -> None:
    made, _ = _kept.pop(fixture)
    made.__exit__(None, None, None)
