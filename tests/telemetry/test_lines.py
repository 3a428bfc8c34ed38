"""Recent log lines by request: which are kept, how many, and what happens where they can't be."""

import os
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from telemetry import conf
from telemetry.context import Context, new_request_id
from telemetry.metrics import exposed_registry
from telemetry.tracing import lines, sampling
from telemetry.tracing.lines import LINES_A_REQUEST, RecentLines
from telemetry.tracing.work import Work


@pytest.fixture
def store(servers: Any) -> RecentLines:
    return RecentLines(conf.redis_url())


def line(request_id: str, event: str = "import.row_skipped", level: str = "warning", **fields: Any) -> dict[str, Any]:
    return {
        "timestamp": "2026-03-01T10:00:00.000001Z",
        "level": level,
        "event": event,
        "request_id": request_id,
        **fields,
    }


def events_of(store: RecentLines, request_id: str) -> list[str]:
    assert store.flush()
    return [kept["event"] for kept in store.lines_of(request_id)]


def dropped(reason: str) -> float:
    labels = {"reason": reason}
    return exposed_registry().get_sample_value("telemetry_recent_lines_dropped_total", labels) or 0.0


def test_warnings_and_worse_are_kept_and_canonical_lines_are_not(store: RecentLines) -> None:
    request_id = new_request_id()
    for level in ("debug", "info", "warning", "error", "critical"):
        store.keep(line(request_id, f"of.{level}", level))
    store.keep(line(request_id, "http.request", "info"))
    store.keep({"event": "of.nobody", "level": "error"})

    assert sorted(events_of(store, request_id)) == ["of.critical", "of.error", "of.warning"]


def test_fields_come_back_in_the_order_of_their_times(store: RecentLines) -> None:
    request_id = new_request_id()
    store.keep(line(request_id, "second", timestamp="2026-03-01T10:00:02Z", row=7))
    store.keep(line(request_id, "first", timestamp="2026-03-01T10:00:01Z"))
    store.flush()
    first, second = store.lines_of(request_id)

    assert (first["event"], second["event"], second["row"]) == ("first", "second", 7)
    assert second["process"] == conf.process()


def test_what_changes_in_a_line_afterwards_changes_nothing_here(store: RecentLines) -> None:
    request_id = new_request_id()
    event = line(request_id, "import.row_skipped")
    store.keep(event)
    event.clear()

    assert events_of(store, request_id) == ["import.row_skipped"]


def test_a_request_keeps_its_first_lines(store: RecentLines) -> None:
    request_id = new_request_id()
    for number in range(LINES_A_REQUEST + 50):
        store.keep(line(request_id, f"line.{number:03}", timestamp=f"2026-03-01T10:00:00.{number:03}Z"))

    assert events_of(store, request_id) == [f"line.{number:03}" for number in range(LINES_A_REQUEST)]


def test_the_store_keeps_the_latest_requests_and_forgets_each_in_time(
    store: RecentLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "KEPT_REQUESTS", 3)
    request_ids = [new_request_id() for _ in range(5)]
    for request_id in request_ids:
        store.keep(line(request_id))
        store.flush()

    assert [bool(store.lines_of(request_id)) for request_id in request_ids] == [False, False, True, True, True]
    assert 0 < store._redis.ttl(f"lines:{request_ids[-1]}") <= lines.KEPT_SECONDS


def test_a_line_that_is_too_long_keeps_what_tells_where_it_is(store: RecentLines) -> None:
    request_id = new_request_id()
    store.keep(line(request_id, exception="x" * 50_000))
    store.flush()
    (kept,) = store.lines_of(request_id)

    assert kept["event"] == "import.row_skipped"
    assert "exception" not in kept
    assert kept["cut"].endswith("bytes")


def test_a_redis_that_is_down_costs_lines_that_are_counted_and_raises_nothing() -> None:
    store = RecentLines("unix:///nowhere/redis.sock")
    before = dropped("failed")
    for _ in range(3):
        store.keep(line(new_request_id()))
    store.flush()

    assert dropped("failed") == before + 3


def test_a_queue_that_is_full_costs_lines_that_are_counted() -> None:
    store = RecentLines("unix:///nowhere/redis.sock", capacity=2)
    store._thread = object()  # type: ignore[assignment]  # so that nothing empties the queue meanwhile
    before = dropped("queue_full")
    for _ in range(5):
        store.keep(line(new_request_id()))

    assert dropped("queue_full") == before + 3


def test_what_has_no_form_is_dropped_and_the_rest_is_kept(store: RecentLines) -> None:
    class Bad:
        def __str__(self) -> str:
            raise ValueError

    request_id = new_request_id()
    before = dropped("failed")
    store.keep(line(request_id, "of.bad", field=Bad()))
    store.flush()
    store.keep(line(request_id, "of.good"))

    assert events_of(store, request_id) == ["of.good"]
    assert dropped("failed") == before + 1


@pytest.mark.parametrize(("ratio", "kept"), [(0.0, []), (1.0, ["blog.post_published"])])
def test_what_work_tells_on_its_way_is_kept_where_it_is_sampled(
    store: RecentLines, settings: Any, ratio: float, kept: list[str]
) -> None:
    settings.TELEMETRY_SAMPLE_RATIO = ratio
    sampling.forget()
    request_id = new_request_id()
    try:
        work = Work("GET", origin="http", sampled_as="/", request_id=request_id, kind=SpanKind.SERVER, attributes={})
        work.enter(Context(request_id=request_id))
        store.keep(line(request_id, "http.request", "info"))
        store.keep(line(request_id, "blog.post_published", "info"))
        work.leave()
    finally:
        settings.TELEMETRY_SAMPLE_RATIO = 1.0
        sampling.forget()

    assert events_of(store, request_id) == kept


def test_a_forked_child_writes_its_own_lines_and_not_its_parents(servers: Any) -> None:
    request_id = new_request_id()
    lines.flush()
    writer = lines._kept()
    assert writer is not None
    with writer._writing:  # the parent's lines wait
        lines.keep(line(request_id, "of.parent"))
        pid = os.fork()
        if pid == 0:
            lines.keep(line(request_id, "of.child"))
            os._exit(0 if lines.flush() else 1)
        assert os.waitpid(pid, 0)[1] == 0
        in_store = [kept["event"] for kept in lines.recent_lines().lines_of(request_id)]
    lines.flush()

    assert in_store == ["of.child"]
    assert {kept["event"] for kept in lines.recent_lines().lines_of(request_id)} == {"of.child", "of.parent"}


def test_lines_leave_by_themselves(store: RecentLines, wait_until: Any) -> None:
    request_id = new_request_id()
    store.keep(line(request_id))

    assert wait_until(lambda: store.lines_of(request_id))
