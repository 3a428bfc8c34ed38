"""Another project installs the wheel for its telemetry: no platform, no ledger, a handful of settings."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from psycopg import sql

from config.embedded import addresses
from config.redis_urls import BROKER, TELEMETRY, for_kombu, with_database
from tests.wheel import clean_environment, environment_with_wheel, run

pytestmark = pytest.mark.long

ALONE = Path(__file__).with_name("alone")
PLATFORM = (
    "audit",
    "config",
    "accounts",
    "blog",
    "chat",
    "tasks",
    "notifications",
    "ops",
    "rest_framework",
    "environs",
)
OPTIONAL = ("celery", "kombu", "channels", "channels_redis", "django_redis", "httpx")


@dataclass(frozen=True)
class Shop:
    """The project on a database of its own, by what its story tells."""

    story: dict[str, Any]
    lines: list[dict[str, Any]]


@pytest.fixture(scope="module")
def database(servers: Any) -> Iterator[dict[str, str]]:
    """Make the project's database; return the environment that leads to it."""
    names = {"name": sql.Identifier("shop"), "owner": sql.Identifier("shop_owner")}
    for statement in ("CREATE ROLE {owner} LOGIN", "CREATE DATABASE {name} OWNER {owner} TEMPLATE template0"):
        servers.superuser.execute(sql.SQL(statement).format(**names))
    yield {
        "SHOP_HOST": str(addresses.socket_directory(settings.LOCAL_DIR)),
        "SHOP_NAME": "shop",
        "SHOP_USER": "shop_owner",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    servers.superuser.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))
    servers.superuser.execute(sql.SQL("DROP ROLE {owner}").format(**names))


def shop(folder: Path, blocked: tuple[str, ...], environment: dict[str, str], *arguments: str) -> Shop:
    python = environment_with_wheel(folder, blocked)
    *lines, story = run(python, clean_environment(**environment), "story.py", *arguments, folder=ALONE).splitlines()
    return Shop(json.loads(story), [json.loads(line) for line in lines])


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, database: dict[str, str]) -> Shop:
    """The least: no Redis, no Celery, no Channels, metrics in the process."""
    return shop(tmp_path_factory.mktemp("bare"), PLATFORM + OPTIONAL, database)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, database: dict[str, str]) -> Shop:
    """With all that telemetry can watch."""
    folder = tmp_path_factory.mktemp("full")
    url = addresses.redis_url(settings.LOCAL_DIR)
    more = {
        "SHOP_SPANS": with_database(url, TELEMETRY),
        "SHOP_BROKER": for_kombu(url, BROKER),
        "SHOP_METRICS": str(folder / "metrics"),
    }
    return shop(folder, PLATFORM, {**database, **more}, "--worker")


def test_nothing_of_this_checkout_is_imported(bare: Shop, full: Shop) -> None:
    for one in (bare, full):
        assert all("site-packages" in path for path in one.story["files"])
        assert not set(PLATFORM) & set(one.story["modules"])
    assert not set(OPTIONAL) & set(bare.story["modules"])


def test_each_request_has_its_line_with_its_ids(bare: Shop) -> None:
    lines = [line for line in bare.lines if line["event"] == "http.request"]

    assert [line["request_id"] for line in lines[:3]] == bare.story["ids"]
    assert {line["route"] for line in lines[:3]} == {"/goods/<int:pk>/"}
    assert [line["statements"] for line in lines[:3]] == [1, 0, 0]
    assert lines[0]["trace_id"] == bare.story["traceparent"].split("-")[1]


def test_metrics_tell_of_requests_statements_and_caches(bare: Shop, full: Shop) -> None:
    for one in (bare, full):
        metrics = one.story["metrics"]
        assert 'http_route="/goods/<int:pk>/"' in metrics
        assert 'db_collection_name="auth_group"' in metrics
        assert 'key_template="goods:*"' in metrics


def test_a_requests_spans_are_kept(full: Shop) -> None:
    spans = full.story["spans"][full.story["ids"][0]]

    assert {"GET /goods/<int:pk>/", "SELECT auth_group"} <= {span["name"] for span in spans}


def test_a_task_is_in_the_trace_of_the_request_that_asked_for_it(full: Shop) -> None:
    spans = {span["name"]: span for span in full.story["spans"][full.story["order"]]}

    assert spans["process shop.ship"]["trace_id"] == spans["GET /order/"]["trace_id"]
    assert {"GET /order/", "process shop.ship", "SELECT auth_group"} <= set(spans)
    assert 'celery_task_succeeded_total{task="shop.ship"' in full.story["metrics"]
