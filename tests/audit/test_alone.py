"""Another project installs the wheel: no word of the platform, no Celery, no Channels, no REST framework, no Redis."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from psycopg import sql

from config.embedded import addresses, postgres
from tests.wheel import PROJECT, clean_environment, environment_with_wheel, run

pytestmark = pytest.mark.long

ALONE = Path(__file__).with_name("alone")
BLOCKED = (
    *("celery", "kombu", "channels", "channels_redis", "rest_framework", "drf_spectacular", "django_redis"),
    *("dj_database_url", "environs", "config", "accounts", "blog", "chat", "tasks", "notifications", "ops"),
)
GRANTS = (
    "GRANT USAGE ON SCHEMA public TO {application}",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {application}",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT USAGE ON SEQUENCES TO {application}",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT EXECUTE ON FUNCTIONS TO {application}",
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment that has the wheel."""
    return environment_with_wheel(tmp_path_factory.mktemp("alone"), BLOCKED)


@dataclass(frozen=True)
class Depot:
    """The project, on a database of its own."""

    python: Path
    environment: dict[str, str]
    owner_arguments: tuple[str, ...]
    story: dict[str, Any]


@pytest.fixture(scope="module", params=["one role", "two roles"])
def depot(request: pytest.FixtureRequest, servers: Any, python: Path) -> Any:
    """Migrate a fresh database, and let the story happen in it."""
    has_two_roles = request.param == "two roles"
    name = f"depot_{request.param.replace(' ', '_')}"
    owner, application = f"{name}_owner", f"{name}_app"
    names = {"name": sql.Identifier(name), "owner": sql.Identifier(owner), "application": sql.Identifier(application)}
    for statement in (
        "CREATE ROLE {owner} LOGIN",
        "CREATE ROLE {application} LOGIN",
        "CREATE DATABASE {name} OWNER {owner} TEMPLATE template0",
    ):
        servers.superuser.execute(sql.SQL(statement).format(**names))
    environment = clean_environment(
        DEPOT_HOST=str(addresses.socket_directory(settings.LOCAL_DIR)),
        DEPOT_NAME=name,
        DEPOT_USER=application if has_two_roles else owner,
        PYTHONDONTWRITEBYTECODE="1",
        **({"DEPOT_OWNER": owner} if has_two_roles else {}),
    )
    owner_arguments = ("--database", "owner") if has_two_roles else ()
    try:
        if has_two_roles:
            # As projects with two roles do it: what the owner makes, the application may use. Not so the ledger.
            with postgres.connect(settings.LOCAL_DIR, name) as superuser:
                for statement in GRANTS:
                    superuser.execute(sql.SQL(statement).format(**names))
        run(python, environment, "manage.py", "migrate", "--verbosity", "0", *owner_arguments, folder=ALONE)
        story = json.loads(run(python, environment, "story.py", folder=ALONE).splitlines()[-1])
        yield Depot(python, environment, owner_arguments, story)
    finally:
        servers.superuser.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))
        servers.superuser.execute(sql.SQL("DROP ROLE {owner}, {application}").format(**names))


def actions(depot: Depot, chapter: str) -> list[str]:
    return [event["action"] for event in depot.story[chapter]["events"]]


def test_nothing_of_this_checkout_can_be_imported(depot: Depot) -> None:
    assert all("site-packages" in path and str(PROJECT) not in path for path in depot.story["files"])
    assert all(depot.story["imports"][name].endswith("is not to be had here") for name in ("blog", "celery"))
    assert set(BLOCKED) & set(depot.story["modules"]) == set()


def test_changes_through_the_orm_are_recorded_and_echoed(depot: Depot) -> None:
    created, updated, delivered = depot.story["orm"]["events"]
    assert actions(depot, "orm") == ["depot.article.created", "depot.article.updated", "depot.delivery.created"]
    assert created["changes"]["name"] == "bolt"
    assert set(created["changes"]["cost"]) == {"masked"}
    assert updated["changes"] == {"stock": [0, 7]}
    assert delivered["changes"]["quantity"] == 7
    assert depot.story["orm"]["echoes"] == [
        [event["action"], event["object_id"], event["changes"]] for event in depot.story["orm"]["events"]
    ]


def test_bulk_changes_are_recorded_row_by_row_and_echoed_as_one(depot: Depot) -> None:
    kinds = ["depot.article.created", "depot.article.updated", "depot.article.deleted"]
    assert actions(depot, "bulk") == [kind for kind in kinds for _ in range(3)]
    assert [(action, count) for action, _, count in depot.story["bulk"]["echoes"]] == [(kind, 3) for kind in kinds]


def test_raw_sql_is_recorded_and_what_rolled_back_is_not(depot: Depot) -> None:
    (event,) = depot.story["raw"]["events"]
    assert event["changes"] == {"stock": [7, 8]}
    assert depot.story["rolled back"] == {"events": [], "echoes": []}


def test_events_that_are_no_rows_are_recorded_with_their_reason(depot: Depot) -> None:
    (event,) = depot.story["recorded"]["events"]
    assert (event["action"], event["changes"], event["reason"]) == ("depot.stock.counted", {"found": 8}, "stocktaking")
    assert actions(depot, "login") == ["auth.user.logged_in"]


def test_a_request_is_recorded_with_who_when_and_why(depot: Depot) -> None:
    events = depot.story["http"]["events"]
    assert actions(depot, "http") == ["depot.article.updated", "depot.delivery.created"]
    assert {tuple(event["actor"]) for event in events} == {("user", "clara")}
    assert {event["origin"] for event in events} == {"http"}
    assert {event["request_id"] for event in events} == {depot.story["request_id"]}
    assert {event["reason"] for event in events} == {"came by lorry"}


def test_a_coroutine_is_recorded_alike(depot: Depot) -> None:
    event = depot.story["async"]["events"][-1]
    assert (event["action"], event["actor"]) == ("depot.article.updated", ["user", "clara"])


def test_a_ledger_that_cant_be_written_is_a_503(depot: Depot) -> None:
    status, request_id, problem = depot.story["refusal"]
    assert (status, problem["request_id"]) == (503, request_id)
    assert depot.story["unwritable"] == {"events": [], "echoes": []}
    assert depot.story["stock"] == 10


def test_the_status_is_told_and_checked(depot: Depot) -> None:
    status = depot.story["status"]
    assert status["problems"] == depot.story["checks"] == []
    decisions = {model["label"]: model["decision"] for model in status["models"]}
    assert decisions["depot.Article"] == decisions["depot.Delivery"] == decisions["auth.User"] == "tracked"
    assert decisions["auth.Permission"] == "elsewhere"
    assert status["partitions"]["months_ready"] == 13
    assert depot.story["partitions"] == "All partitions stand.\n"


def test_a_drift_is_told_and_migrate_mends_it(depot: Depot) -> None:
    (drift,) = depot.story["drifts"]
    assert drift == "depot.Article: the capture of update on depot_article is missing; run manage migrate."

    with postgres.connect(settings.LOCAL_DIR, depot.environment["DEPOT_NAME"]) as superuser:
        superuser.execute("DROP TRIGGER audit_update ON depot_article")
        run(
            depot.python,
            depot.environment,
            "manage.py",
            "migrate",
            "--verbosity",
            "0",
            *depot.owner_arguments,
            folder=ALONE,
        )
        trigger = "SELECT FROM pg_trigger WHERE tgname = 'audit_update' AND tgrelid = 'depot_article'::regclass"
        assert superuser.execute(trigger).rowcount == 1


def test_the_application_can_only_read_and_record(depot: Depot) -> None:
    """With one role the triggers refuse what would change events; the rest needs a second role."""
    attempts = depot.story["attempts"]
    refused = attempts if depot.owner_arguments else ("change events", "delete events", "truncate the ledger")
    assert {name: attempts[name] for name in refused} == dict.fromkeys(refused, "denied")


def test_the_api_needs_its_extra_and_nothing_else_does(depot: Depot) -> None:
    assert depot.story["imports"]["audit.api.urls"].endswith("is not to be had here")
    assert set(depot.story["imports with the extra"].values()) == {""}
