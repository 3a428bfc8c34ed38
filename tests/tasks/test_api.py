"""The API of tasks: filters, one run with its attempts, and what may be done, by whom, with a reason."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts.actions import create_token
from accounts.models import User
from audit.models import Event
from tasks.models import Outcome, Queue, TaskRun
from tests.tasks.making import make_dead, make_run, make_running

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = "/api/tasks/runs/"


@pytest.fixture
def reader(transactional_db: None) -> User:
    return User.objects.create_user("reader", password="x")


@pytest.fixture
def operator(transactional_db: None) -> User:
    user = User.objects.create_user("operator", password="x")
    user.groups.add(Group.objects.get(name="operator"))
    return user


class ApiClient:
    """Asks as one person, with a token of these scopes."""

    def __init__(self, user: User, *scopes: str) -> None:
        _, text = create_token(user, actor=None, scopes=scopes or ("tasks:read", "tasks:write"))
        self._client = Client(headers={"Authorization": f"Bearer {text}"})

    def get(self, path: str, **asked: Any) -> Any:
        return self._client.get(path, asked)

    def post(self, path: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
        return self._client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def names(response: Any) -> set[str]:
    assert response.status_code == 200, response.content
    return {run["name"] for run in response.json()["results"]}


# --- reading ---------------------------------------------------------------------------------------------------------


def test_each_filter_narrows_the_list(reader: User, operator: User) -> None:
    make_dead(reader, name="tests.dead", error="TimeoutError: no answer", request_id="req-12345678")
    make_running(name="tests.running", queue="notifications")
    make_run(name="tests.old", enqueued_at=timezone.now() - timedelta(days=2))
    make_run(reader, name="tests.cancelled", outcome=Outcome.CANCELLED, error="Cancelled by reader: no")
    api = ApiClient(operator)
    for asked, found in (
        ({"state": "dead"}, {"tests.dead"}),
        ({"state": "running"}, {"tests.running"}),
        ({"state": "succeeded"}, {"tests.old"}),
        ({"name": "tests.old"}, {"tests.old"}),
        ({"queue": "notifications"}, {"tests.running"}),
        ({"person": "reader"}, {"tests.dead", "tests.cancelled"}),
        ({"person": str(reader.pk)}, {"tests.dead", "tests.cancelled"}),
        ({"person": "nobody"}, set()),
        ({"since": "1h"}, {"tests.dead", "tests.running", "tests.cancelled"}),
        ({"since": "2020-01-01T00:00:00Z"}, {"tests.dead", "tests.running", "tests.cancelled", "tests.old"}),
        ({"request_id": "req-12345678"}, {"tests.dead"}),
        ({"error": "timeout"}, {"tests.dead"}),
        ({"error": "by reader", "state": "cancelled"}, {"tests.cancelled"}),
        ({"error": "100%"}, set()),
    ):
        assert names(api.get(RUNS, **asked)) == found, asked


def test_wrong_filters_are_named_all_at_once(operator: User) -> None:
    response = ApiClient(operator).get(RUNS, state="lost", since="lately", name="x" * 201)
    problem = response.json()
    assert (response.status_code, set(problem["errors"])) == (400, {"state", "since", "name"})
    assert "queued" in problem["errors"]["state"][0]


def test_one_run_comes_with_its_attempts_and_progress_and_without_secrets(operator: User) -> None:
    run = make_dead(attempts=3, progress_done=4, progress_total=9, result={"password": "hunter2", "count": 7})
    told = ApiClient(operator).get(f"{RUNS}{run.id}/").json()
    assert [one["outcome"] for one in told["tries"]] == ["retried", "retried", "failed"]
    assert told["progress"] == {"done": 4, "total": 9, "note": ""}
    assert told["result"] == {"password": "[redacted]", "count": 7}
    assert "message" not in told


# --- doing -----------------------------------------------------------------------------------------------------------


def test_a_run_is_retried_and_cancelled_with_a_reason(operator: User, reader: User) -> None:
    run, api = make_dead(reader), ApiClient(operator)
    response = api.post(f"{RUNS}{run.id}/retry/", reason="it is mended")
    assert (response.status_code, response.json()["state"]) == (200, "retrying")
    response = ApiClient(reader).post(f"{RUNS}{run.id}/cancel/", {"X-Audit-Reason": "never mind"})
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    for action, who, reason in (("retried", "operator", "it is mended"), ("cancelled", "reader", "never mind")):
        event = Event.objects.get(action=f"tasks.taskrun.{action}", outcome="success")
        assert (event.object_id, event.actor_label, event.context["reason"]) == (str(run.id), who, reason)


def test_many_are_retried_by_filters(operator: User) -> None:
    mine = make_dead(name="tests.mail")
    other = make_dead(name="tests.other")
    response = ApiClient(operator).post(f"{RUNS}retry/", name="tests.mail", reason="it is mended")
    assert response.json() == {"retried": 1}
    states = {run.pk: run.state for run in TaskRun.objects.all()}
    assert states == {mine.pk: "retrying", other.pk: "dead"}
    event = Event.objects.get(action="tasks.taskrun.retried_many")
    assert (event.actor_label, event.context["reason"]) == ("operator", "it is mended")
    assert event.changes == {"count": 1, "ids": [str(mine.id)]}


def test_a_misspelt_filter_retries_nothing(operator: User) -> None:
    make_dead(name="tests.mail")
    response = ApiClient(operator).post(f"{RUNS}retry/", nmae="tests.mail", reason="it is mended")
    assert (response.status_code, list(response.json()["errors"])) == (400, ["nmae"])
    assert TaskRun.objects.get().state == "dead"


def test_queues_are_listed_paused_and_resumed(operator: User) -> None:
    make_run(outcome="", enqueued_at=timezone.now() - timedelta(minutes=5))
    make_run(outcome="", eta=timezone.now() + timedelta(hours=1))
    make_running(enqueued_at=timezone.now() - timedelta(seconds=10))
    make_run(outcome="", queue="gone")
    api = ApiClient(operator)
    queues = {queue["name"]: queue for queue in api.get("/api/tasks/queues/").json()}
    default = queues["default"]
    assert (default["due"], default["later"], default["running"]) == (1, 1, 1)
    assert 300 <= default["oldest_seconds"] < 400
    assert 10 <= default["wait_p50_seconds"] < 60
    assert (queues["gone"]["due"], queues["gone"]["is_known"]) == (1, False)
    assert queues["notifications"]["oldest_seconds"] is None
    paused = api.post("/api/tasks/queues/default/pause/", reason="moving").json()
    assert (paused["is_paused"], paused["changed_by"], paused["reason"]) == (True, "operator", "moving")
    again = api.post("/api/tasks/queues/default/pause/", reason="moving")
    assert (again.status_code, again.headers["Content-Type"]) == (409, "application/problem+json")
    assert "paused already" in again.json()["detail"]
    assert api.post("/api/tasks/queues/default/resume/", reason="moved").json()["is_paused"] is False
    assert api.post("/api/tasks/queues/nonsense/pause/", reason="what").status_code == 404
    for action, reason in (("paused", "moving"), ("resumed", "moved")):
        event = Event.objects.get(action=f"tasks.queue.{action}")
        assert (event.object_id, event.actor_label, event.context["reason"]) == ("default", "operator", reason)


# --- what is refused -------------------------------------------------------------------------------------------------


def test_nothing_is_done_without_a_reason(operator: User) -> None:
    run, api = make_dead(), ApiClient(operator)
    for path in (f"{RUNS}{run.id}/retry/", f"{RUNS}retry/", "/api/tasks/queues/default/pause/"):
        response = api.post(path, reason="  ")
        assert (response.status_code, list(response.json()["errors"])) == (400, ["reason"]), path
    run.refresh_from_db()
    assert run.state == "dead"
    assert not Queue.objects.filter(is_paused=True).exists()


def test_what_the_state_does_not_allow_is_a_conflict(operator: User) -> None:
    run = make_run()
    response = ApiClient(operator).post(f"{RUNS}{run.id}/retry/", reason="once more")
    assert (response.status_code, response.headers["Content-Type"]) == (409, "application/problem+json")
    assert "succeeded" in response.json()["detail"]


def test_another_persons_run_is_not_found_and_the_denial_recorded(reader: User, operator: User) -> None:
    run, api = make_dead(operator), ApiClient(reader)
    for response in (api.get(f"{RUNS}{run.id}/"), api.post(f"{RUNS}{run.id}/retry/", reason="mine")):
        assert response.status_code == 404
    assert api.get(f"{RUNS}{uuid.uuid4()}/").status_code == 404
    denials = Event.objects.filter(action="tasks.taskrun.viewed", outcome="denied", object_id=str(run.id))
    assert denials.count() == 2


def test_those_who_only_look_and_tokens_that_only_read_do_nothing(operator: User) -> None:
    developer = User.objects.create_user("developer", password="x")
    developer.groups.add(Group.objects.get(name="developer"))
    run = make_dead()
    paths = (f"{RUNS}{run.id}/retry/", f"{RUNS}{run.id}/cancel/", f"{RUNS}retry/", "/api/tasks/queues/default/pause/")
    looking, reading = ApiClient(developer), ApiClient(operator, "tasks:read")
    for path in paths:
        assert looking.post(path, reason="curious").status_code == 403, path
        assert reading.post(path, reason="curious").status_code == 403, path
    assert Event.objects.filter(action="tasks.access.denied", actor_label="developer").count() == len(paths)
    assert Event.objects.filter(action="accounts.scope.denied", outcome="denied").count() == len(paths)
    run.refresh_from_db()
    assert run.state == "dead"


def test_queues_are_for_those_who_see_all_runs(reader: User) -> None:
    assert ApiClient(reader).get("/api/tasks/queues/").status_code == 403
    assert Event.objects.get(action="tasks.access.denied").changes == {"action": "view_queues"}
