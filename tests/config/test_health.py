"""Probes."""

import threading
from typing import Any

import pytest
from django.test import RequestFactory

from config import health
from telemetry.metrics import exposed_registry


def ready() -> tuple[int, dict[str, Any]]:
    import json

    response = health.ready(RequestFactory().get("/healthz/ready"))
    return response.status_code, json.loads(response.content)


@pytest.fixture(autouse=True)
def _patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine, what answers is given the time to."""
    monkeypatch.setattr(health.run_checks, "__defaults__", (None, 60.0))


def test_liveness_asks_nobody() -> None:
    response = health.live(RequestFactory().get("/healthz/live"))  # the database is blocked in this test
    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.django_db(transaction=True)
def test_readiness_tells_each_check() -> None:
    status, body = ready()
    assert body == {
        "status": "ok",
        "checks": [
            {"name": "database", "ok": True, "detail": "answers", "is_warning": False},
            {"name": "migrations", "ok": True, "detail": "all applied", "is_warning": False},
            {"name": "redis", "ok": True, "detail": "answers", "is_warning": False},
            {"name": "ledger", "ok": True, "detail": "captures all it should", "is_warning": False},
        ],
    }
    assert status == 200


@pytest.mark.django_db(transaction=True)
def test_a_missing_migration_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk = {**health._migrations_on_disk(), ("blog", "9999_future"): frozenset()}
    monkeypatch.setattr(health, "_migrations_on_disk", lambda: on_disk)
    status, body = ready()
    assert status == 503
    assert body["status"] == "unavailable"
    assert body["checks"][1]["detail"].startswith("1 not applied, blog.9999_future first")


@pytest.mark.django_db(transaction=True)
def test_probes_of_readiness_count_what_each_check_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted() -> tuple[float | None, ...]:
        return tuple(
            exposed_registry().get_sample_value("config_readiness_checks_total", {"check": check, "outcome": outcome})
            for check, outcome in (("database", "ok"), ("migrations", "failed"))
        )

    ok, failed = counted()
    on_disk = {**health._migrations_on_disk(), ("blog", "9999_future"): frozenset()}
    monkeypatch.setattr(health, "_migrations_on_disk", lambda: on_disk)
    ready()
    assert ok is not None
    assert failed is not None
    assert counted() == (ok + 1, failed + 1)


def test_every_check_of_readiness_is_counted_from_zero() -> None:
    samples = next(
        family.samples for family in exposed_registry().collect() if family.name == "config_readiness_checks"
    )
    assert {sample.labels["check"] for sample in samples} == set(health.CHECKS)


@pytest.mark.django_db(transaction=True)
def test_a_squashed_migration_counts_as_applied_with_what_it_replaces(monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk = {("accounts", "0001_squashed"): frozenset({("accounts", "0001_initial")})}
    monkeypatch.setattr(health, "_migrations_on_disk", lambda: on_disk)
    assert ready()[1]["checks"][1]["ok"]


@pytest.mark.django_db(transaction=True)
def test_redis_away_is_told_without_its_address(settings: Any) -> None:
    settings.REDIS_URL = "redis://:pa55word@127.0.0.1:1/0"
    status, body = ready()
    assert status == 503
    assert body["checks"][0]["ok"]
    assert body["checks"][2] == {
        "name": "redis",
        "ok": False,
        "detail": "failed (ConnectionError); the log says more",
        "is_warning": False,
    }


def test_a_check_that_hangs_is_given_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()
    monkeypatch.setattr(health.run_checks, "__defaults__", (None, health.TIMEOUT_SECONDS))
    monkeypatch.setattr(health, "CHECKS", {"redis": lambda: "answers", "database": lambda: str(end.wait(60))})
    try:
        status, body = ready()
    finally:
        end.set()
    assert status == 503
    assert [check["ok"] for check in body["checks"]] == [True, False]
    assert body["checks"][1]["detail"] == "no answer within 1 s"


@pytest.mark.django_db(transaction=True)
def test_a_full_redis_is_a_warning_and_the_process_stays_ready(redis_client: Any) -> None:
    redis_client.config_set("maxmemory", "1")
    try:
        status, body = ready()
    finally:
        redis_client.config_set("maxmemory", "0")
    assert (status, body["status"]) == (200, "warning")
    check = body["checks"][2]
    assert (check["ok"], check["is_warning"]) == (False, True)
    assert check["detail"].startswith("answers, but takes no writes")


def test_checks_that_hang_for_ever_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()
    monkeypatch.setattr(health, "_running", threading.BoundedSemaphore(2))
    hanging = {"database": lambda: str(end.wait(60))}
    try:
        details = [health.run_checks(hanging, 0.01)[0].detail for _ in range(3)]
    finally:
        end.set()
    assert details == ["no answer within 0.01 s"] * 2 + ["earlier checks still hang"]
