"""Every statement is told with its kind, its place in the code and how often it repeats; never with its values."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from telemetry import conf
from telemetry.database.statements import describe
from telemetry.http.middleware import TelemetryMiddleware
from telemetry.metrics import exposed_registry
from tests.telemetry.conftest import Finished

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.telemetry.views")]


def statements(spans: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [span for span in spans if span["name"] == name]


def root(spans: list[dict[str, Any]]) -> dict[str, Any]:
    return next(span for span in spans if span["kind"] == "server")


def test_statements_that_differ_by_values_alone_have_one_fingerprint() -> None:
    one = describe("SELECT a FROM t WHERE b IN (%s, %s) AND c = 'x' LIMIT 21")
    other = describe("SELECT  a FROM t WHERE b IN (%s, %s, %s, %s) AND c = 'y' LIMIT 5")

    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != describe("SELECT a FROM u").fingerprint


def test_a_bulk_insert_is_one_kind_whatever_its_rows() -> None:
    insert = 'INSERT INTO "t" ("a", "b") VALUES '
    kinds = {describe(insert + ", ".join(["(%s, %s)"] * count)).fingerprint for count in (2, 3, 500)}

    assert len(kinds) == 1


def test_a_statement_names_the_line_that_it_comes_from(client: Client, finished_spans: Finished) -> None:
    client.get("/t/repeating/1/")
    (statement,) = statements(finished_spans(), "SELECT auth_group")

    assert statement["attributes"]["code.location"].startswith("tests/telemetry/views.py:")
    assert statement["attributes"]["db.query.fingerprint"]
    assert statement["attributes"]["db.response.returned_rows"] == 0


def test_a_query_that_repeats_is_warned_of_with_its_place(
    client: Client, finished_spans: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    count = conf.repeats_allowed() + 5
    client.get(f"/t/repeating/{count}/")
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "db.repeated_statement" in line]
    (mark,) = root(finished_spans())["attributes"]["db.repeated_statements"]

    (line,) = found
    assert (line["level"], line["count"], line["summary"]) == ("warning", count, "SELECT auth_group")
    assert line["call_site"].startswith("tests/telemetry/views.py:")
    assert mark.startswith(f"SELECT auth_group ({count} times) at tests/telemetry/views.py:")


def test_the_same_for_each_of_many_is_no_repetition(client: Client, finished_spans: Finished) -> None:
    client.get(f"/t/alike/{conf.repeats_allowed() + 5}/")

    assert "db.repeated_statements" not in root(finished_spans())["attributes"]


def test_as_often_as_allowed_is_no_repetition(client: Client, finished_spans: Finished) -> None:
    client.get(f"/t/repeating/{conf.repeats_allowed()}/")

    assert "db.repeated_statements" not in root(finished_spans())["attributes"]


def test_a_query_of_a_template_names_the_templates_line(
    client: Client, finished_spans: Finished, settings: Any
) -> None:
    templates = [{**settings.TEMPLATES[0], "DIRS": ["tests/telemetry/templates"]}]
    settings.TEMPLATES = templates
    client.get("/t/template/")
    sites = {span["attributes"]["code.location"] for span in statements(finished_spans(), "SELECT auth_group")}

    # The generator is the project's own code, within the template's loop.
    assert len(sites) == 1
    assert sites.pop().startswith("tests/telemetry/views.py:")


def test_commit_and_rollback_are_told(client: Client, finished_spans: Finished) -> None:
    client.get("/t/committing/")
    client.get("/t/rolling-back/")
    spans = finished_spans()

    assert len(statements(spans, "COMMIT")) == 1
    assert len(statements(spans, "ROLLBACK")) == 1
    for one in [*statements(spans, "COMMIT"), *statements(spans, "ROLLBACK")]:
        assert one["parent_id"] in {span["span_id"] for span in spans if span["kind"] == "server"}


def test_what_an_iterator_fetches_later_is_told_too(client: Client, finished_spans: Finished) -> None:
    Group.objects.bulk_create(Group(name=f"group {number}") for number in range(5))
    answer = client.get("/t/iterating/")
    fetches = statements(finished_spans(), "FETCH")

    assert answer.content.count(b",") >= 4
    assert sum(span["attributes"]["db.response.returned_rows"] for span in fetches) == answer.content.count(b",") + 1
    assert all(span["attributes"]["code.location"].startswith("tests/telemetry/views.py:") for span in fetches)


def test_a_statement_that_fails_is_an_error_of_its_own(client: Client, finished_spans: Finished) -> None:
    client.raise_request_exception = False
    client.get("/t/failing-statement/")
    (statement,) = statements(finished_spans(), "SELECT there_is_no_such_table")

    assert (statement["status"], statement["attributes"]["error.type"]) == ("error", "ProgrammingError")


def test_opening_a_connection_is_told(client: Client, finished_spans: Finished) -> None:
    name = "db_client_connection_create_time_seconds_count"
    labels = {"db_client_connection_pool_name": "default"}
    before = exposed_registry().get_sample_value(name, labels) or 0
    connection.close()
    client.get("/t/repeating/1/")

    assert statements(finished_spans(), "open a connection")
    assert (exposed_registry().get_sample_value(name, labels) or 0) == before + 1


def test_a_request_has_so_many_spans_and_no_more_and_says_how_many_are_missing(
    client: Client, finished_spans: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conf, "MOST_LEAVES", 20)
    labels = {"reason": "trace_limit"}
    before = exposed_registry().get_sample_value("telemetry_spans_dropped_total", labels) or 0
    connection.ensure_connection()
    client.get("/t/repeating/50/")
    spans = finished_spans()
    # A connection that was opened for the request is one of its spans.
    dropped = 30 + len(statements(spans, "open a connection"))

    assert len([span for span in spans if span["kind"] == "client"]) == 20
    assert root(spans)["attributes"]["spans.dropped"] == dropped
    assert root(spans)["attributes"]["db.statements"] == 50
    assert exposed_registry().get_sample_value("telemetry_spans_dropped_total", labels) == before + dropped


def test_waiting_for_the_pool_is_no_opening_of_a_connection(rf: RequestFactory, finished_spans: Finished) -> None:
    options = {**connection.settings_dict["OPTIONS"], "pool": {"min_size": 1, "max_size": 1, "timeout": 5}}
    pooled = DatabaseWrapper({**connection.settings_dict, "OPTIONS": options, "CONN_MAX_AGE": 0}, alias="pooled")
    name = "db_client_connection_wait_time_seconds_count"
    labels = {"db_client_connection_pool_name": "pooled"}
    before = exposed_registry().get_sample_value(name, labels) or 0

    def view(request: HttpRequest) -> HttpResponse:
        with pooled.cursor() as cursor:
            cursor.execute("SELECT 1")
        pooled.close()
        return HttpResponse()

    try:
        TelemetryMiddleware(view)(rf.get("/"))
    finally:
        pooled.close_pool()

    (wait,) = statements(finished_spans(), "wait for a connection")
    assert wait["attributes"]["db.client.connection.pool.name"] == "pooled"
    assert exposed_registry().get_sample_value(name, labels) == before + 1
