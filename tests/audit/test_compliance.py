"""What docs/compliance.md promises that no other module's tests hold: refusals, failures, logins, admins, roles."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Group, Permission
from django.core.cache import cache
from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path
from jsonschema import Draft4Validator

from accounts.models import User
from accounts.roles import ROLES, sync_roles
from audit import recording
from audit.models import Event
from audit.refusals import FAILED, REFUSED
from tests.audit.everything.models import Thing

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENT = PROJECT / "docs" / "compliance.md"
EVENTS = "/api/audit/events/"

pytestmark = pytest.mark.django_db


# --- the document ---------------------------------------------------------------------------------------------------


def test_every_test_that_the_document_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", DOCUMENT.read_text())
    assert len(named) > 40
    for file, name in named:
        assert re.search(rf"^ *(async )?def {name}\(", (PROJECT / file).read_text(), re.M), f"{file}::{name}"


def test_all_25_statements_stand_in_the_table_and_in_a_section() -> None:
    text = DOCUMENT.read_text()
    rows = re.findall(r"^\| (\d+) \| .+ \| (met|partly|not met yet) \| .+ \|$", text, re.M)
    assert [int(number) for number, _ in rows] == list(range(1, 26))
    sections = re.findall(r"^### (\d+)\. .+ \(([ALPNSI\u2013][^)]*)\)$", text, re.M)
    assert [int(number) for number, _ in sections] == list(range(1, 26))
    bodies = re.split(r"^### \d+\. .+$", text, flags=re.M)[1:]
    for (number, state), body in zip(rows, bodies, strict=True):
        assert ("Missing:" in body) == (state != "met"), f"{number} is {state}"
        assert state == "not met yet" or re.search(r"`tests/[\w/]+\.py::\w+`", body), f"{number} names no test"


# --- what is refused, and what fails ----------------------------------------------------------------------------------


def broken(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        Thing.objects.create(name="half done")
        raise KeyError("canary-secret-value")


async def broken_async(request: HttpRequest) -> HttpResponse:
    raise KeyError


urlpatterns = [path("broken/", broken), path("broken-async/", broken_async), path("", include("config.urls"))]


@pytest.fixture
def told(db: None) -> Callable[[Any], list[tuple[str, str, Any]]]:
    """Return a function that gives what the ledger holds of a request that wasn't let through or failed."""

    def read(answer: Any) -> list[tuple[str, str, Any]]:
        events = Event.objects.filter(request_id=answer["X-Request-ID"]).exclude(outcome="success").order_by("id")
        return [(event.action, event.outcome, event.changes) for event in events]

    return read


@pytest.fixture
def reader(db: None) -> User:
    return User.objects.create_user("reader", password="right-horse-9")


Told = Callable[[Any], list[tuple[str, str, Any]]]


def test_an_api_without_credentials_refuses_and_the_ledger_has_it(client: Client, told: Told) -> None:
    answer = client.get(EVENTS, REMOTE_ADDR="192.0.2.9")
    assert answer.status_code == 401
    assert told(answer) == [(REFUSED, "denied", {"status": 401, "route": "/api/audit/events/"})]
    event = Event.objects.get(request_id=answer["X-Request-ID"])
    assert (event.actor_type, event.operation, event.origin) == ("anonymous", f"GET {EVENTS}", "http")
    assert event.context["address"] == "192.0.2.9"


def test_a_page_without_the_permission_refuses_and_the_ledger_has_it(client: Client, told: Told, reader: User) -> None:
    client.force_login(reader)
    answer = client.get("/ops/requests/")
    assert answer.status_code == 403
    ((action, outcome, changes),) = told(answer)
    assert (action, outcome, changes["status"], changes["why"]) == (REFUSED, "denied", 403, "PermissionDenied")
    assert Event.objects.get(request_id=answer["X-Request-ID"]).actor_id == str(reader.pk)


def test_what_a_view_recorded_by_itself_is_not_recorded_twice(client: Client, told: Told, reader: User) -> None:
    answer = client.get(EVENTS, headers={"Authorization": "Bearer gh_" + "x" * 43})
    assert answer.status_code == 401
    assert [action for action, _, _ in told(answer)] == ["accounts.token.refused"]
    client.force_login(reader)
    assert [action for action, _, _ in told(client.get("/audit/"))] == ["audit.ledger.read_denied"]


def test_who_keeps_asking_fills_no_ledger_and_another_path_or_person_is_told(told: Told, reader: User) -> None:
    stranger, person = Client(REMOTE_ADDR="192.0.2.10"), Client(REMOTE_ADDR="192.0.2.10")
    person.force_login(reader)
    answers = [stranger.get(EVENTS), stranger.get(f"{EVENTS}?since=1"), stranger.get("/api/tasks/runs/")]
    assert [len(told(answer)) for answer in answers] == [1, 0, 1]
    answers = [person.get("/ops/requests/"), person.get("/ops/requests/"), person.get("/ops/requests/12345678/")]
    assert [len(told(answer)) for answer in answers] == [1, 0, 1]
    cache.clear()  # as a minute does
    assert len(told(stranger.get(EVENTS))) == 1


def test_a_form_without_its_token_is_refused_and_the_ledger_has_it(told: Told, reader: User) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/accounts/login/", {"username": "reader", "password": "right-horse-9"})
    assert answer.status_code == 403
    assert told(answer) == [(REFUSED, "denied", {"status": 403, "route": "/accounts/login/", "why": "csrf"})]


@pytest.mark.parametrize(("body", "status"), [("{}", 400), ("{", 400), ("x" * 1_000_001, 413)])
def test_what_is_invalid_or_too_large_is_in_the_ledger_without_its_content(
    client: Client, told: Told, reader: User, body: str, status: int
) -> None:
    reader.user_permissions.add(Permission.objects.get(codename="add_post"))
    client.force_login(reader)
    answer = client.post("/api/blog/posts/", body, content_type="application/json")
    assert answer.status_code == status
    ((action, outcome, changes),) = told(answer)
    assert (action, outcome, changes["status"]) == (REFUSED, "denied", status)
    assert set(changes) <= {"status", "route", "why"}


def test_an_unhandled_error_is_in_the_ledger_with_its_kind_alone(told: Told, settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    answer = Client(raise_request_exception=False).get("/broken/")
    assert answer.status_code == 500
    assert told(answer) == [(FAILED, "error", {"status": 500, "route": "/broken/", "why": "KeyError"})]
    assert not Thing.objects.exists()


@pytest.mark.django_db(transaction=True)
async def test_an_asynchronous_view_that_fails_is_told_alike(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    answer = await AsyncClient(raise_request_exception=False).get("/broken-async/")
    event = await Event.objects.aget(request_id=answer["X-Request-ID"], action=FAILED)
    assert (answer.status_code, event.outcome, event.changes["why"]) == (500, "error", "KeyError")


def test_a_refusal_that_cant_be_recorded_stays_a_refusal(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> int:
        raise OperationalError

    monkeypatch.setattr(recording, "record", fail)
    assert client.get(EVENTS).status_code == 401


def test_without_its_cache_refusals_are_recorded(client: Client, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "add", lambda *args, **kwargs: False)
    monkeypatch.setattr(cache, "get", lambda *args, **kwargs: None)
    assert len(told(client.get(EVENTS))) == 1


# --- who logs in ------------------------------------------------------------------------------------------------------


def test_each_login_that_succeeds_or_fails_tells_who_from_where_and_by_which_factor(reader: User) -> None:
    client = Client(REMOTE_ADDR="192.0.2.11")
    expected = [("wrong", "login_failed", "denied"), ("right-horse-9", "logged_in", "success")]
    for password, verb, outcome in expected:
        answer = client.post("/accounts/login/", {"username": "reader", "password": password})
        event = Event.objects.get(request_id=answer["X-Request-ID"], action=f"accounts.user.{verb}")
        assert (event.outcome, event.changes["factor"], event.context["address"]) == (outcome, "password", "192.0.2.11")
    assert (event.object_type, event.object_id) == ("accounts.user", str(reader.pk))


# --- what administrators do -------------------------------------------------------------------------------------------


@pytest.fixture
def chief(client: Client) -> Iterator[User]:
    """Give an administrator who is logged in."""
    user = User.objects.create_superuser("chief", password="right-horse-9")
    client.force_login(user)
    return user


def test_what_an_administrator_does_in_the_admin_is_recorded_with_before_and_after(
    client: Client, chief: User, reader: User
) -> None:
    group = Group.objects.create(name="gardeners of the day")
    form = {"username": "reader", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00", "groups": [group.pk]}
    answer = client.post(
        f"/admin/accounts/user/{reader.pk}/change/", {**form, "is_staff": "on"}, headers={"X-Audit-Reason": "ticket 7"}
    )
    assert answer.status_code == 302
    events = Event.objects.filter(request_id=answer["X-Request-ID"], action="accounts.user.updated")
    changes = {name: value for event in events for name, value in event.changes.items()}

    assert changes["is_staff"] == [False, True]
    assert changes["is_active"] == [True, False]
    assert changes["groups"] == {"added": [group.pk]}
    assert {(one.actor_id, one.object_id, one.context["reason"]) for one in events} == {
        (str(chief.pk), str(reader.pk), "ticket 7")
    }
    answer = client.post(f"/admin/accounts/user/{reader.pk}/delete/", {"post": "yes"})
    deleted = Event.objects.get(request_id=answer["X-Request-ID"], action="accounts.user.deleted")
    assert (deleted.actor_id, deleted.changes["username"]) == (str(chief.pk), "reader")


def test_a_new_password_is_recorded_before_and_after_as_digests_that_differ(
    client: Client, chief: User, reader: User
) -> None:
    new = {"password1": "another-horse-9", "password2": "another-horse-9", "usable_password": "true"}
    answer = client.post(f"/admin/accounts/user/{reader.pk}/password/", new)
    event = Event.objects.get(request_id=answer["X-Request-ID"], action="accounts.user.updated", object_id=reader.pk)

    before, after = event.changes["password"]
    assert set(before) == set(after) == {"masked"}
    assert before != after
    assert event.actor_id == str(chief.pk)


# --- who may read -----------------------------------------------------------------------------------------------------


def test_an_auditor_reads_the_ledger_and_administers_nothing(client: Client) -> None:
    sync_roles()
    auditor = User.objects.create(username="una")
    auditor.groups.add(Group.objects.get(name="auditor"))
    client.force_login(auditor)

    assert all(permission.startswith("audit.") for permission in ROLES["auditor"])
    assert {permission.partition(".")[0] for permission in auditor.get_all_permissions()} == {"audit"}
    assert client.get(EVENTS).status_code == 200
    assert client.get("/admin/accounts/user/").status_code in (302, 403)
    assert client.get("/ops/requests/").status_code == 403


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"auditor"}))
def test_no_other_role_reads_the_ledger_not_even_as_staff(client: Client, role: str) -> None:
    sync_roles()
    user = User.objects.create(username="una", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)

    assert client.get(EVENTS).status_code == 403
    assert client.get("/audit/").status_code == 403


# --- form -------------------------------------------------------------------------------------------------------------


def test_times_of_the_api_and_of_log_lines_are_utc_and_say_so(
    client: Client, chief: User, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    answer = client.get(EVENTS)
    times = [one["recorded_at"] for one in answer.json()["results"]]
    times += [orjson.loads(line)["timestamp"] for line in capsys.readouterr().out.splitlines()]

    assert len(times) > 2
    assert {datetime.fromisoformat(time).utcoffset() for time in times} == {timedelta(0)}


def test_what_the_api_answers_fits_its_published_schema(client: Client, chief: User) -> None:
    Thing.objects.create(name="seen").delete()
    schema = client.get("/api/schema/", headers={"Accept": "application/json"}).json()
    listed = schema["paths"][EVENTS]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    single = schema["paths"]["/api/audit/events/{id}/"]["get"]["responses"]["200"]["content"]["application/json"]
    page = client.get(f"{EVENTS}?limit=2").json()
    event = client.get(f"{EVENTS}{page['results'][0]['id']}/").json()

    assert page["next"]
    for value, described in ((page, listed), (event, single["schema"])):
        Draft4Validator({**described, "components": schema["components"]}).validate(value)
        members = schema["components"]["schemas"][described["$ref"].rpartition("/")[2]]["properties"]
        assert set(value) == set(members)
    assert schema["info"]["version"]
