"""The page by which operators close the platform and open it again, also while it's closed."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User
from audit.models import Event
from ops.maintenance import actions, queries
from ops.models import Maintenance
from tests.ops.test_maintenance import begin, client_of

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/ops/maintenance/"


@pytest.fixture
def operator() -> User:
    user = User.objects.create_user("oscar", display_name="Oscar")
    user.groups.add(Group.objects.get(name="operator"))
    return user


@pytest.fixture
def staff() -> User:
    return User.objects.create_user("stella", is_staff=True)


@pytest.fixture(autouse=True)
def _look_anew() -> Any:
    yield
    queries.forget()


def switch_on(client: Client, **values: str) -> Any:
    given = {"on": "1", "span": "30m", "message": "We move house.", "reason": "CHANGE-481"}
    return client.post(PAGE, {**given, **values})


def test_an_operator_closes_the_platform_and_opens_it_again(operator: User) -> None:
    client = client_of(operator)
    page = client.get(PAGE).content.decode()
    assert "The platform is open" in page
    assert "You aren't of staff" in page
    before = datetime.now(UTC)
    assert switch_on(client).headers["Location"] == PAGE
    window = queries.read()
    assert window is not None
    assert window.message == "We move house."
    assert window.ends_at is not None
    assert before + timedelta(minutes=30) <= window.ends_at <= datetime.now(UTC) + timedelta(minutes=30)
    assert Client().get("/blog/").status_code == 503
    assert client.get("/blog/").status_code == 503  # an operator who isn't of staff
    page = client.get(PAGE).content.decode()
    for said in ("The platform is closed", "We move house.", "CHANGE-481", "Switched on</strong> by oscar"):
        assert said in page
    assert client.post(PAGE, {"off": "1", "off-reason": "It's done."}).headers["Location"] == PAGE
    assert queries.read() is None
    assert Client().get("/blog/").status_code == 200
    told = Event.objects.filter(object_type="ops.maintenance").order_by("id")
    assert list(told.values_list("actor_label", "context__reason")) == [
        ("oscar", "CHANGE-481"),
        ("oscar", "It's done."),
    ]


def test_without_a_span_it_is_on_until_it_is_switched_off(operator: User) -> None:
    switch_on(client_of(operator), span=" ")
    window = queries.read()
    assert window is not None
    assert window.ends_at is None
    assert "when it's switched off" in client_of(operator).get(PAGE).content.decode()


def test_what_is_on_is_changed_from_what_it_says(operator: User) -> None:
    first, client = begin("One", minutes=90), client_of(operator)
    page = client.get(PAGE).content.decode()
    found = re.search(r'name="span" value="(\d+)m"', page)
    assert found is not None
    assert 60 < int(found[1]) <= 90  # what is left of it
    assert ">\nOne</textarea>" in page
    switch_on(client, message="Two", span="2h")
    second = queries.read()
    assert second is not None
    assert (second.message, second.begun_at) == ("Two", first.begun_at)
    assert "Changed</strong> by oscar" in client.get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"span": "soon"}, "no span of time"),
        ({"span": "31d"}, "within the next 30 days"),
        ({"reason": ""}, "This field is required."),
        ({"message": "x" * 501}, "at most 500 characters"),
        ({"message": "a\x1b[2Jb"}, "all of them printable"),
    ],
)
def test_what_can_not_be_is_said_at_the_form_with_what_was_typed(
    operator: User, values: dict[str, str], said: str
) -> None:
    response = switch_on(client_of(operator), **{"message": "Typed.", **values})
    assert response.status_code == 400
    assert said in response.content.decode()
    assert values.get("message", "Typed.")[:3] in response.content.decode()
    assert not Maintenance.objects.exists()


def test_staff_sees_how_it_stands_and_switches_nothing(staff: User) -> None:
    begin("We move house.")
    client = client_of(staff)
    page = client.get(PAGE)
    assert page.status_code == 200
    assert "We move house." in page.content.decode()
    assert "<form class=" not in page.content.decode()
    for values in ({"on": "1", "reason": "x"}, {"off": "1"}):
        assert client.post(PAGE, values).status_code == 403
    assert queries.read() is not None
    assert Event.objects.filter(action="http.request.refused", outcome="denied", actor_label="stella").exists()


def test_others_see_nothing_of_it() -> None:
    reader = User.objects.create_user("robin")
    for is_on in (False, True):
        if is_on:
            begin()
        assert client_of(reader).get(PAGE).status_code == 403
        assert client_of(reader).post(PAGE, {"off": "1"}).status_code == 403
        assert Client().get(PAGE).headers["Location"] == f"/accounts/login/?next={PAGE}"


def test_a_request_that_names_no_switch_changes_nothing(operator: User) -> None:
    assert client_of(operator).post(PAGE, {"reason": "x"}).status_code == 400
    actions.end_maintenance(actor=None)
    assert client_of(operator).post(PAGE, {"off": "1"}, follow=True).content.decode().count("was off already") == 1
    assert not Maintenance.objects.exists()


def test_operations_lead_to_it_for_those_who_may_see_it(operator: User) -> None:
    link = f'href="{PAGE}"'
    assert link in client_of(operator).get("/ops/").content.decode()
    developer = User.objects.create_user("dora")
    developer.groups.add(Group.objects.get(name="developer"))
    assert link not in client_of(developer).get("/ops/").content.decode()


def test_one_that_ended_by_itself_is_told_as_begun_anew(operator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    window = begin(minutes=5)
    assert window.ends_at is not None
    later = window.ends_at + timedelta(minutes=1)
    with monkeypatch.context() as patched:
        patched.setattr("django.utils.timezone.now", lambda: later)
        actions.begin_maintenance(actor=None)
    page = client_of(operator).get(PAGE).content.decode()
    assert page.count("Switched on</strong>") == 2
