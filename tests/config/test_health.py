"""Probes."""

import threading
from typing import Any

import pytest
from django.test import RequestFactory

from config import health


@pytest.fixture(autouse=True)
def _own_threads() -> Any:
    yield
    health._pool.cache_clear()


def ready() -> tuple[int, dict[str, Any]]:
    import json

    response = health.ready(RequestFactory().get("/healthz/ready"))
    return response.status_code, json.loads(response.content)


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
            {"name": "database", "ok": True, "detail": "answers"},
            {"name": "migrations", "ok": True, "detail": "all applied"},
            {"name": "redis", "ok": True, "detail": "answers"},
            {"name": "ledger", "ok": True, "detail": "captures all it should"},
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
    }


def test_a_check_that_hangs_is_given_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()
    monkeypatch.setattr(health, "CHECKS", {"redis": lambda: "answers", "database": lambda: str(end.wait(30))})
    try:
        status, body = ready()
    finally:
        end.set()
    assert status == 503
    assert [check["ok"] for check in body["checks"]] == [True, False]
    assert body["checks"][1]["detail"] == "no answer within 1 s"
