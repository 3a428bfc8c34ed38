"""The ledger says of itself what it captures, and each drift is found, told with what to do, and mended by migrate."""

import sys
from collections.abc import Callable, Iterator
from io import StringIO

import orjson
import psycopg
import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from audit import partitions, registry, status
from audit.install import install
from config import health

# Drifts are made by the owner within the test's transaction, which is rolled back.
pytestmark = pytest.mark.django_db(databases=["default", "owner"])

DRIFTS = {
    "a trigger that was dropped": ("DROP TRIGGER audit_insert ON blog_post", "insert on blog_post is missing"),
    "a trigger that was disabled": (
        "ALTER TABLE blog_post DISABLE TRIGGER audit_update",
        "update on blog_post is disabled",
    ),
    "a trigger that fires for replicas alone": (
        "ALTER TABLE blog_post ENABLE REPLICA TRIGGER audit_update",
        "update on blog_post is disabled",
    ),
    "a trigger with a condition": (
        "CREATE OR REPLACE TRIGGER audit_truncate AFTER TRUNCATE ON blog_post FOR EACH STATEMENT "
        "WHEN (false) EXECUTE FUNCTION audit_capture_blog_post_truncate()",
        "truncate on blog_post is outdated",
    ),
    "a function that was replaced": (
        "CREATE OR REPLACE FUNCTION audit_capture_blog_post_delete() RETURNS trigger LANGUAGE plpgsql "
        "SECURITY DEFINER AS $$ BEGIN RETURN NULL; END $$",
        "delete on blog_post is outdated",
    ),
    "a function that runs as whoever calls it": (
        "ALTER FUNCTION audit_capture_blog_post_delete() SECURITY INVOKER",
        "delete on blog_post is outdated",
    ),
    "a column that was added": ("ALTER TABLE blog_post ADD COLUMN mood text", "update on blog_post is outdated"),
    "a column that was renamed": (
        "ALTER TABLE chat_room RENAME COLUMN name TO called",
        "insert on chat_room is outdated",
    ),
    "a column that was retyped": (
        "ALTER TABLE chat_room ALTER COLUMN name TYPE json USING to_json(name)",
        "update on chat_room is outdated",
    ),
    "a many-to-many table without its trigger": (
        "DROP TRIGGER audit_delete ON accounts_user_groups",
        "delete on accounts_user_groups is missing",
    ),
}


@pytest.fixture
def execute() -> Callable[[str], None]:
    """Give a function that runs a statement as the owner."""

    def run(statement: str) -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute(statement)

    return run


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    status.forget()
    yield
    status.forget()


def run_command(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("audit_status", *arguments, stdout=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def status_of(label: str) -> status.ModelStatus:
    return next(model for model in status.read("owner").models if model.label == label)


def test_all_is_well_after_migrate() -> None:
    found = status.read("owner")
    assert found.problems == []
    assert found.partitions.months_ready == 13
    assert {model.decision for model in found.models} == {"tracked", "exempt", "elsewhere"}
    assert {(one.event, one.state) for one in status_of("blog.Post").captures} == {
        (event, "current") for event in ("insert", "update", "delete", "truncate")
    }


def test_the_application_sees_the_same_as_the_owner() -> None:
    assert status.read("default") == status.read("owner")


@pytest.mark.parametrize("drift", DRIFTS)
def test_each_drift_is_found_and_mended_by_migrate(drift: str, execute: Callable[[str], None]) -> None:
    statement, told = DRIFTS[drift]
    execute(statement)
    problems = status.read("owner").problems
    assert any(told in problem and "run manage migrate" in problem for problem in problems)

    install("owner")
    assert status.read("owner").problems == []


def test_a_model_without_its_table_is_found(execute: Callable[[str], None]) -> None:
    execute("DROP TABLE blog_image CASCADE")
    assert status.read("owner").problems == ["blog.Image has no table; run manage migrate."]


def test_a_model_that_nobody_decided_about_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(registry._tracked, "chat.room")
    assert status_of("chat.Room").decision == "undecided"
    assert status.read("owner").problems[0].startswith("chat.Room is neither tracked nor exempt")


def test_an_exempt_model_shows_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(registry._tracked, "chat.room")
    monkeypatch.setitem(registry._exempt, "chat.room", "Nobody asks.")
    assert status_of("chat.Room") == status.ModelStatus("chat.Room", "exempt", "Nobody asks.")
    assert "exempt" in run_command()[1]


def test_a_month_that_is_missing_is_found_and_made(execute: Callable[[str], None]) -> None:
    latest, following = (f"audit_event_{month:%Y_%m}" for month in status.read("owner").partitions.months[:2])
    execute(f"DROP TABLE {following}")
    found = status.read("owner")
    assert found.partitions.months_ready == 1
    assert found.problems == [
        "The partition of this month or the next is missing; run manage audit_partitions, and mend its schedule."
    ]
    assert [made.name for made in partitions.ensure("owner")] == [following]
    execute(f"DROP TABLE {latest}")
    assert status.read("owner").partitions.months_ready == 0


@pytest.mark.parametrize("at", ["1999-12-31", "2199-01-01"])
def test_events_in_the_default_partition_are_counted(execute: Callable[[str], None], at: str) -> None:
    execute(f"INSERT INTO audit_event (action, recorded_at) VALUES ('shop.order.paid', '{at}')")
    assert status.read("owner").partitions.default_events == 1
    assert "holds events (1); run manage audit_partitions" in status.read("owner").problems[0]
    partitions.ensure("owner")
    assert status.read("owner").partitions.default_events == 0


def test_events_in_a_gap_between_partitions_are_counted(execute: Callable[[str], None]) -> None:
    gap = status.read("owner").partitions.months[5]
    execute(f"DROP TABLE audit_event_{gap:%Y_%m}")
    execute(f"INSERT INTO audit_event (action, recorded_at) VALUES ('shop.order.paid', '{gap}')")
    assert status.read("owner").partitions.default_events == 1


def test_a_ledger_without_default_partition_is_found_and_mended(execute: Callable[[str], None]) -> None:
    execute("DROP TABLE audit_event_default")
    assert "no default partition" in status.read("owner").problems[0]
    partitions.ensure("owner")
    assert status.read("owner").problems == []


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE {} DISABLE TRIGGER audit_append_only",
        "DROP TRIGGER audit_append_only ON {}",
        "GRANT INSERT ON {} TO glasshouse_app",
        "GRANT DELETE ON {} TO PUBLIC",
    ],
)
@pytest.mark.parametrize("table", ["audit_event", "audit_event_default"])
def test_a_ledger_that_is_open_is_found(execute: Callable[[str], None], statement: str, table: str) -> None:
    execute(statement.format(table))
    assert status.read("owner").problems[0].startswith(f"{table} is open to others than its owner")


def test_a_key_of_masked_values_that_others_may_read_is_found(execute: Callable[[str], None]) -> None:
    execute("GRANT SELECT ON audit_key TO glasshouse_app")
    assert status.read("owner").problems[0].startswith("audit_key is open")


def test_the_command_tells_people_and_programs(execute: Callable[[str], None]) -> None:
    code, text = run_command()
    assert code == 0
    assert "triggers current on accounts_user, accounts_user_groups, accounts_user_user_permissions" in text
    assert "All is as it should be." in text

    execute("ALTER TABLE blog_post DISABLE TRIGGER audit_update")
    code, text = run_command()
    assert code == 1
    assert "blog_post.update disabled" in text
    assert "DRIFT: blog.Post: the capture of update on blog_post is disabled; run manage migrate." in text

    code, text = run_command("--format", "json")
    found = orjson.loads(text)
    assert code == 1
    assert len(found["problems"]) == 1
    post = next(model for model in found["models"] if model["label"] == "blog.Post")
    assert {"table": "blog_post", "event": "update", "state": "disabled"} in post["captures"]
    assert found["partitions"]["months_ready"] == 13


def test_the_command_says_where_there_is_no_ledger(execute: Callable[[str], None]) -> None:
    execute("DROP TABLE audit_event CASCADE")
    with pytest.raises(CommandError, match="There is no ledger on the database 'owner'; run manage migrate"):
        run_command()
    assert run_checks(databases=["owner"]) == []


def test_the_command_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("audit_status", "--help")
    assert "manage audit_status --format json" in capsys.readouterr().out


def test_a_drift_fails_the_check_of_that_database_alone(execute: Callable[[str], None]) -> None:
    execute("DROP TRIGGER audit_insert ON blog_post")
    assert run_checks() == []
    assert [error.id for error in run_checks(databases=["owner"])] == ["audit.E003"]
    assert run_checks(databases=["default"]) == []  # whose connection doesn't see what isn't committed


def test_migrate_is_not_kept_from_mending_by_the_check(
    execute: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    execute("DROP TRIGGER audit_insert ON blog_post")
    monkeypatch.setattr(sys, "argv", ["manage.py", "migrate"])
    call_command("migrate", skip_checks=False, database="owner", verbosity=0)
    assert status.read("owner").problems == []


def test_a_look_costs_two_queries_and_is_kept_for_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    with CaptureQueriesContext(connections["default"]) as queries:
        assert status.recent_problems("default") == []
        once = len(queries)
        assert once in (2, 3)  # the third where the default partition has ever held something
        status.recent_problems("default")
        assert len(queries) == once
        monkeypatch.setattr(status, "_KEPT_SECONDS", -1.0)
        status.recent_problems("default")
        assert len(queries) == 2 * once


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_readiness_warns_of_a_drift_and_the_site_stays_up(superuser: psycopg.Connection) -> None:
    superuser.execute("ALTER TABLE blog_post DISABLE TRIGGER audit_update")
    try:
        response = health.ready(RequestFactory().get("/healthz/ready"))
    finally:
        superuser.execute("ALTER TABLE blog_post ENABLE TRIGGER audit_update")
    body = orjson.loads(response.content)
    assert (response.status_code, body["status"]) == (200, "warning")
    assert body["checks"][-1] == {
        "name": "ledger",
        "ok": False,
        "detail": "blog.Post: the capture of update on blog_post is disabled; run manage migrate. "
        "1 such in all; manage audit_status tells them",
        "is_warning": True,
    }
