"""Every operation of every cache is counted once, timed, and told of without its keys."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.core.cache import BaseCache, CacheHandler
from django.core.cache.backends.locmem import LocMemCache

from telemetry.caches import backends
from telemetry.caches import operations as timing
from telemetry.metrics import exposed_registry
from tests.telemetry.conftest import working

Finished = Callable[[], list[dict[str, Any]]]
NOWHERE = "redis://127.0.0.1:1/0"  # where nothing listens


class NativeCache(LocMemCache):
    """Has async methods of its own, which call no sync ones, and a `get` made of `get_many`."""

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return self.get_many([key], version).get(key, default)

    def get_many(self, keys: Any, version: int | None = None) -> dict[Any, Any]:
        read = super().get
        return {key: value for key in keys if (value := read(key, None, version)) is not None}

    async def aget(self, key: str, default: Any = None, version: int | None = None) -> Any:
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        return LocMemCache.get(self, key, default, version)


class TieredCache(LocMemCache):
    """Asks another cache for what it hasn't."""

    below: BaseCache

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        return self.below.get(key, default, version)


class BrokenCache(LocMemCache):
    def set(self, *args: Any, **kwargs: Any) -> None:
        raise OSError("disk full")


class ClosedCache(LocMemCache):
    def __init_subclass__(cls) -> None:
        raise TypeError("final")


def made(alias: str, backend: str = "django.core.cache.backends.locmem.LocMemCache", **options: Any) -> BaseCache:
    """A cache as Django makes it, of its own name: so counts begin at nothing."""
    return CacheHandler({alias: {"BACKEND": backend, "LOCATION": alias, **options}})[alias]


@pytest.fixture
def name() -> str:
    return f"cache-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def cache(name: str) -> BaseCache:
    return made(name)


def django_redis(name: str, location: str, *, ignores: bool) -> BaseCache:
    options = {"IGNORE_EXCEPTIONS": ignores, "SOCKET_CONNECT_TIMEOUT": 1}
    return CacheHandler({name: {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location, "OPTIONS": options}})[
        name
    ]


def operations(name: str) -> dict[tuple[str, str], int]:
    """How many operations of the cache were counted, by operation and result."""
    return counts("cache_operations_total", name, "operation", "result")


def lookups(name: str) -> dict[tuple[str, str], int]:
    return counts("cache_lookups_total", name, "key_template", "result")


def counts(metric: str, name: str, *labels: str) -> dict[Any, int]:
    found = {}
    for family in exposed_registry().collect():
        for sample in family.samples:
            if sample.name == metric and sample.labels["cache_name"] == name:
                values = tuple(sample.labels[label] for label in labels)
                found[values if len(values) > 1 else values[0]] = int(sample.value)
    return found


def test_each_operation_is_counted_once_with_its_result(cache: BaseCache, name: str) -> None:
    cache.set("a", 1)
    cache.get("a")
    cache.get("b")
    cache.add("a", 2)
    cache.has_key("a")
    assert "b" not in cache
    cache.touch("a")
    cache.touch("b")
    cache.incr("a")
    cache.decr("a")
    cache.delete("a")
    cache.clear()

    assert operations(name) == {
        ("set", "ok"): 1,
        ("get", "hit"): 1,
        ("get", "miss"): 1,
        ("add", "ok"): 1,
        ("has_key", "hit"): 1,
        ("has_key", "miss"): 1,
        ("touch", "ok"): 1,
        ("touch", "miss"): 1,
        ("incr", "ok"): 1,
        ("decr", "ok"): 1,
        ("delete", "ok"): 1,
        ("clear", "ok"): 1,
    }


def test_an_operation_that_calls_others_is_one(cache: BaseCache, name: str) -> None:
    assert cache.get_or_set("a", lambda: 7) == 7
    assert cache.get_or_set("a", 8) == 7
    cache.set_many({"b": 1, "c": 2})
    assert cache.get_many(key for key in ("a", "b", "z")) == {"a": 7, "b": 1}
    assert cache.get_many(keys=["a", "b"]) == {"a": 7, "b": 1}
    cache.delete_many(["a", "b"])

    assert operations(name) == {
        ("get_or_set", "miss"): 1,
        ("get_or_set", "hit"): 1,
        ("set_many", "ok"): 1,
        ("get_many", "miss"): 1,
        ("get_many", "hit"): 1,
        ("delete_many", "ok"): 1,
    }


async def test_async_operations_are_counted_once(cache: BaseCache, name: str) -> None:
    await cache.aset("a", 1)
    assert await cache.aget("a") == 1
    assert await cache.aget("b", default=3) == 3
    assert await cache.aget_or_set("c", lambda: 2) == 2
    assert await cache.aget_many(["a", "c", "d"]) == {"a": 1, "c": 2}
    assert await cache.ahas_key("a")
    assert await cache.aincr("a") == 2
    await cache.adelete_many(["a", "c"])
    await cache.aclear()

    assert operations(name) == {
        ("set", "ok"): 1,
        ("get", "hit"): 1,
        ("get", "miss"): 1,
        ("get_or_set", "miss"): 1,
        ("get_many", "miss"): 1,
        ("has_key", "hit"): 1,
        ("incr", "ok"): 1,
        ("delete_many", "ok"): 1,
        ("clear", "ok"): 1,
    }


async def test_operations_at_the_same_time_dont_hide_each_other(cache: BaseCache, name: str) -> None:
    await asyncio.gather(*(cache.aget(f"a:{number}") for number in range(20)))

    assert operations(name) == {("get", "miss"): 20}


async def test_a_backend_may_have_async_methods_of_its_own(name: str) -> None:
    cache = made(name, f"{__name__}.NativeCache")
    await cache.aset("a", 1)

    assert await cache.aget("a") == 1
    assert cache.get("a") == 1
    assert cache.get("b", 5) == 5
    assert operations(name) == {("set", "ok"): 1, ("get", "hit"): 2, ("get", "miss"): 1}


def test_a_cache_below_another_counts_by_itself(name: str) -> None:
    upper, below = made(name, f"{__name__}.TieredCache"), made(f"{name}-below")
    upper.below = below  # type: ignore[attr-defined]
    below.set("a", 1)

    assert upper.get("a") == 1
    assert upper.get("b") is None
    assert operations(name) == {("get", "hit"): 1, ("get", "miss"): 1}
    assert operations(f"{name}-below") == {("set", "ok"): 1, ("get", "hit"): 1, ("get", "miss"): 1}


def test_a_stored_none_is_a_hit_and_defaults_come_back(cache: BaseCache, name: str) -> None:
    default = object()
    cache.set("a", None)

    assert cache.get("a", default) is None
    assert cache.get("b", default) is default
    assert cache.get("b", default=default) is default
    assert cache.get(key="b") is None
    assert operations(name) == {("set", "ok"): 1, ("get", "hit"): 1, ("get", "miss"): 3}


def test_errors_reach_the_caller_and_are_counted(name: str, cache: BaseCache) -> None:
    with pytest.raises(ValueError, match="not found"):
        cache.incr("a")
    with pytest.raises(AttributeError):
        cache.set("a", lambda: 1)  # can't be pickled
    with pytest.raises(TypeError):
        cache.get()  # type: ignore[call-arg]
    broken = made(f"{name}-broken", f"{__name__}.BrokenCache")
    with pytest.raises(OSError, match="disk full"):
        broken.set("a", 1)

    assert operations(name) == {("incr", "miss"): 1, ("set", "error"): 1, ("get", "error"): 1}
    assert operations(f"{name}-broken") == {("set", "error"): 1}


def test_what_makes_a_value_counts_by_itself(cache: BaseCache, name: str) -> None:
    def make() -> int:
        cache.set("other", 1)
        return 2

    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("a", lambda: 1 // 0)
    cache.get_or_set("a", make)

    assert operations(name) == {("get_or_set", "miss"): 2, ("set", "ok"): 1}


def test_a_redis_that_is_down_and_ignored_is_an_error_and_no_miss(name: str) -> None:
    cache = django_redis(name, NOWHERE, ignores=True)

    assert cache.get("a", 5) == 5
    assert cache.get_many(["a"]) == {}
    assert cache.get_or_set("a", lambda: 3) == 3
    assert not cache.has_key("a")
    cache.set("a", 1)
    cache.delete("a")
    assert cache.incr("a") is None  # type: ignore[comparison-overlap]

    assert {result for _operation, result in operations(name)} == {"error"}
    assert sum(operations(name).values()) == 7
    assert lookups(name) == {}


def test_a_redis_that_is_down_raises_where_it_isnt_ignored(name: str) -> None:
    cache = django_redis(name, NOWHERE, ignores=False)
    with pytest.raises(redis.ConnectionError):
        cache.get("a")

    assert operations(name) == {("get", "error"): 1}


def test_django_redis_is_told_of_as_redis(name: str, servers: Any, settings: Any, finished_spans: Finished) -> None:
    cache = django_redis(name, settings.CACHES["default"]["LOCATION"], ignores=True)
    with working():
        cache.set("post:1", 1)
        cache.get("post:1")
        cache.get("post:2")
    spans = [span for span in finished_spans() if span["name"].startswith("cache ")]

    assert operations(name) == {("set", "ok"): 1, ("get", "hit"): 1, ("get", "miss"): 1}
    assert [span["attributes"]["db.system.name"] for span in spans] == ["redis"] * 3


def test_operations_are_leaves_of_the_running_work(cache: BaseCache, name: str, finished_spans: Finished) -> None:
    with working() as work:
        cache.set("post:1", 1)
        cache.get("post:1")
        cache.get("post:2")
        cache.get_many(["post:1", "page:1"])
    spans = {span["name"]: span for span in finished_spans()}
    found = [span["attributes"] for span in finished_spans() if span["name"] == "cache get"]

    assert (work.cache_operations, work.cache_hits) == (4, 1)
    assert work.cache_ns > 0
    assert all(span["parent_id"] == spans["GET"]["span_id"] for name, span in spans.items() if name.startswith("cache"))
    assert found == [
        {
            "db.system.name": "locmem",
            "cache.name": name,
            "cache.operation": "get",
            "cache.key_template": "post:*",
            "cache.hit": is_hit,
        }
        for is_hit in (True, False)
    ]
    assert spans["cache get_many"]["attributes"]["cache.key_template"] == "page:*, post:*"


async def test_an_async_operation_belongs_to_the_running_work(cache: BaseCache, finished_spans: Finished) -> None:
    with working() as work:
        await cache.aget("post:1")

    assert work.cache_operations == 1
    assert [span["name"] for span in finished_spans()] == ["GET", "cache get"]


def test_an_error_marks_its_span(name: str, finished_spans: Finished) -> None:
    cache = django_redis(name, NOWHERE, ignores=True)
    with working() as work:
        cache.get("a:1")
    (span,) = (span for span in finished_spans() if span["name"] == "cache get")

    assert span["status"] == "error"
    assert span["attributes"]["error.type"] == "ConnectionError"
    assert "cache.hit" not in span["attributes"]
    assert work.cache_hits == 0


def test_sessions_are_told_of_without_their_keys(servers: Any, settings: Any, finished_spans: Finished) -> None:
    settings.SESSION_CACHE_ALIAS = "default"
    from django.contrib.sessions.backends.cache import SessionStore

    with working():
        session = SessionStore()
        session["color"] = "green"
        session.save()
        assert SessionStore(session.session_key)["color"] == "green"
    spans = [span for span in finished_spans() if span["name"].startswith("cache ")]

    assert session.session_key
    assert {span["attributes"]["cache.operation"] for span in spans} >= {"get"}
    assert session.session_key not in str(spans)


def test_lookups_and_sets_are_counted_by_the_form_of_the_key(cache: BaseCache, name: str) -> None:
    cache.set_many({"post:1": 1, "post:2": 2, "page:1": 1})
    cache.get_many(["post:1", "post:2", "post:3", "page:2"])
    cache.get("post:1")

    assert lookups(name) == {("post:*", "hit"): 3, ("post:*", "miss"): 1, ("page:*", "miss"): 1}
    assert counts("cache_sets_total", name, "key_template") == {"post:*": 2, "page:*": 1}


def test_time_is_measured_without_the_making_of_values(
    cache: BaseCache, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = 1_000

    def clock() -> int:
        nonlocal now_ns
        now_ns += 1
        return now_ns

    def make() -> int:
        nonlocal now_ns
        now_ns += 3_600_000_000_000
        return 1

    for module in (backends, timing):
        monkeypatch.setattr(module, "perf_counter_ns", clock)

    with working() as work:
        cache.get_or_set("a", make)
    labels = {"cache_name": name, "operation": "get_or_set"}

    assert 0 < work.cache_ns < 100
    assert exposed_registry().get_sample_value("cache_operation_duration_seconds_count", labels) == 1
    assert (exposed_registry().get_sample_value("cache_operation_duration_seconds_sum", labels) or 0) < 1e-7


def test_a_class_that_cant_be_watched_works_on(name: str) -> None:
    before = exposed_registry().get_sample_value("telemetry_faults_total", {"hook": "cache"}) or 0
    cache = made(name, f"{__name__}.ClosedCache")
    cache.set("a", 1)

    assert cache.get("a") == 1
    assert operations(name) == {}
    assert exposed_registry().get_sample_value("telemetry_faults_total", {"hook": "cache"}) == before + 1


def test_a_fault_of_ours_doesnt_reach_the_caller(cache: BaseCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(key: Any) -> str:
        raise RuntimeError("ours")

    before = exposed_registry().get_sample_value("telemetry_faults_total", {"hook": "cache"}) or 0
    monkeypatch.setattr("telemetry.caches.operations.template_of", fail)
    cache.set("a", 1)

    assert cache.get("a") == 1
    assert exposed_registry().get_sample_value("telemetry_faults_total", {"hook": "cache"}) == before + 2


def test_a_watched_cache_is_still_of_its_class(cache: BaseCache) -> None:
    assert isinstance(cache, LocMemCache)
    assert type(cache).__name__ == "LocMemCache"
