"""One request as one story, joined by its id."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from ops import story
from telemetry.context import new_request_id
from telemetry.tracing import provider

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def developer() -> User:
    user = User.objects.create_user("dev", password="right-horse-9")
    user.user_permissions.add(Permission.objects.get(codename="view_request_page"))
    return user


def log_in_by_form(client: Client) -> str:
    answer = client.post("/accounts/login/", {"username": "dev", "password": "right-horse-9"})
    assert answer.status_code == 302
    provider.pipeline().force_flush()
    return str(answer["X-Request-ID"])


def test_a_requests_sql_and_events_are_one_story(client: Client, developer: User) -> None:
    told = story.tell(log_in_by_form(client))

    request = told.steps[0]
    assert (request.name, request.lane, request.depth) == ("POST /accounts/login/", "request", 0)
    assert {step.lane for step in told.steps[1:]} <= {"sql", "cache"}
    assert all(step.depth == 1 and 0 <= step.begin_ms <= told.total_ms for step in told.steps[1:])
    assert "accounts.user.logged_in" in [event.action for step in told.steps for event in step.events]
    assert told.summary["status"] == 302


def test_events_stand_at_the_statement_that_caused_them(client: Client, developer: User) -> None:
    told = story.tell(log_in_by_form(client))

    (step,) = [step for step in told.steps if any(e.action == "accounts.user.logged_in" for e in step.events)]
    assert step.name == "SELECT audit_record_v1"


def test_the_page_and_its_json_tell_the_same(client: Client, developer: User) -> None:
    request_id = log_in_by_form(client)
    page = client.get(f"/ops/requests/{request_id}/")
    data = json.loads(client.get(f"/ops/requests/{request_id}/?format=json").content)

    assert page.status_code == 200
    assert "accounts.user.logged_in" in page.content.decode()
    assert data["summary"]["name"] == "POST /accounts/login/"
    assert "accounts.user.logged_in" in [event["action"] for step in data["steps"] for event in step["events"]]


def test_a_trace_id_leads_to_the_request(client: Client, developer: User) -> None:
    request_id = log_in_by_form(client)
    trace_id = story.tell(request_id).summary["trace_id"]

    assert client.get("/ops/requests/", {"q": trace_id})["Location"] == f"/ops/requests/{request_id}/"


def test_an_unknown_request_says_so(client: Client, developer: User) -> None:
    client.force_login(developer)
    answer = client.get(f"/ops/requests/{new_request_id()}/")

    assert answer.status_code == 404
    assert "Nothing is known" in answer.content.decode()


def test_it_is_for_staff_alone(client: Client) -> None:
    client.force_login(User.objects.create(username="reader"))

    assert client.get(f"/ops/requests/{new_request_id()}/").status_code == 403


def test_without_spans_the_ledger_still_tells(client: Client, developer: User, redis_client: Any) -> None:
    request_id = log_in_by_form(client)
    redis_client.flushall()
    told = story.tell(request_id)

    assert told.steps == []
    assert "accounts.user.logged_in" in [event.action for event in told.events]
    assert "No spans" in told.missing[0]


def test_a_store_that_is_down_costs_the_timeline_alone(
    client: Client, developer: User, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    request_id = log_in_by_form(client)
    settings.TELEMETRY_REDIS_URL = "unix:///nowhere/redis.sock"
    told = story.tell(request_id)

    assert told.event_count > 0
    assert "doesn't answer" in told.missing[0]
