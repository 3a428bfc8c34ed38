"""Who sees which task runs, on the page and by the API."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from audit.models import Event
from tasks.models import Outcome, TaskRun
from tasks.templatetags.runs import duration

pytestmark = pytest.mark.django_db


def make_run(actor: User, **fields: Any) -> TaskRun:
    values = {"id": uuid.uuid4(), "name": "tests.note", "queue": "default", "outcome": Outcome.SUCCEEDED}
    return TaskRun.objects.create(
        **{**values, "actor_type": "user", "actor_id": str(actor.pk), "actor_label": actor.username, **fields}
    )


@pytest.fixture
def reader() -> User:
    return User.objects.create_user("reader", password="x")


@pytest.fixture
def operator() -> User:
    user = User.objects.create_user("operator", password="x")
    user.user_permissions.add(Permission.objects.get(codename="view_taskrun"))
    return user


def test_a_stranger_is_sent_to_the_login(client: Client) -> None:
    response = client.get("/tasks/")
    assert response.status_code == 302
    assert "/accounts/login/" in response["Location"]
    assert client.get("/api/tasks/runs/").status_code in (401, 403)


def test_people_see_their_own_runs_and_operators_all(client: Client, reader: User, operator: User) -> None:
    make_run(reader, name="tests.mine")
    make_run(operator, name="tests.other", error="ValueError: <b>", outcome=Outcome.DEAD)
    client.force_login(reader)
    page = client.get("/tasks/").content.decode()
    assert "tests.mine" in page
    assert "tests.other" not in page
    client.force_login(operator)
    page = client.get("/tasks/").content.decode()
    assert "tests.mine" in page
    assert "ValueError: &lt;b&gt;" in page
    page = client.get("/tasks/?state=dead").content.decode()
    assert "tests.mine" not in page
    assert client.get("/tasks/?state=nonsense&page=x").status_code == 200


def test_the_api_lists_and_filters(client: Client, operator: User) -> None:
    run = make_run(operator, request_id="req-12345678")
    make_run(operator, outcome="")
    client.force_login(operator)
    assert len(client.get("/api/tasks/runs/").json()["results"]) == 2
    only = client.get("/api/tasks/runs/?request_id=req-12345678&state=succeeded").json()["results"]
    assert [row["id"] for row in only] == [str(run.id)]
    assert "message" not in only[0]
    for query in ("state=nonsense", "name=%00", f"request_id={'x' * 65}"):
        assert client.get(f"/api/tasks/runs/?{query}").status_code == 400
    assert client.get(f"/api/tasks/runs/{run.id}/").json()["name"] == "tests.note"


@pytest.mark.django_db(transaction=True)
def test_someone_elses_run_is_not_found_and_the_denial_recorded(client: Client, reader: User, operator: User) -> None:
    run = make_run(operator)
    client.force_login(reader)
    assert client.get(f"/api/tasks/runs/{run.id}/").status_code == 404
    assert client.get(f"/api/tasks/runs/{uuid.uuid4()}/").status_code == 404
    denial = Event.objects.get(action="tasks.taskrun.viewed")
    assert (denial.outcome, denial.object_id) == ("denied", str(run.id))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0084, "8 ms"), (1.42, "1.4 s"), (200, "3 min 20 s"), (None, "\N{EN DASH}")]
)
def test_durations_read_well(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
