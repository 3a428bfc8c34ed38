"""What people do to tasks on the pages: each with a reason, which the ledger has; and what they may not."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User
from audit.models import Event
from tasks.models import Outcome, Queue, TaskRun
from tests.tasks.making import make_dead, make_run, make_running

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(transactional_db: None) -> dict[str, User]:
    made = {name: User.objects.create_user(name, password="x") for name in ("reader", "operator", "developer")}
    for name in ("operator", "developer"):
        made[name].groups.add(Group.objects.get(name=name))
    return made


@pytest.fixture
def as_one(people: dict[str, User]) -> Any:
    def log_in(name: str) -> Client:
        client = Client()
        client.force_login(people[name])
        return client

    return log_in


def told(action: str) -> tuple[str, str, str, str]:
    event = Event.objects.get(action=action)
    return event.outcome, event.actor_label, event.object_id, event.context.get("reason", "")


# --- one task --------------------------------------------------------------------------------------------------------


def test_an_operator_retries_a_dead_task(as_one: Any, people: dict[str, User]) -> None:
    run = make_dead(people["reader"], attempts=3)
    operator = as_one("operator")
    page = operator.get(f"/tasks/{run.id}/").content.decode()
    assert f'action="/tasks/{run.id}/retry/"' in page
    response = operator.post(f"/tasks/{run.id}/retry/", {"reason": "the mail server is back"}, follow=True)
    assert "It waits for a worker again." in response.content.decode()
    run.refresh_from_db()
    assert run.state == "retrying"
    assert told("tasks.taskrun.retried") == ("success", "operator", str(run.id), "the mail server is back")


@pytest.mark.parametrize("is_running", [False, True])
def test_people_cancel_their_own_tasks(as_one: Any, people: dict[str, User], is_running: bool) -> None:
    run = make_running(people["reader"]) if is_running else make_run(people["reader"], outcome="")
    response = as_one("reader").post(f"/tasks/{run.id}/cancel/", {"reason": "changed my mind"}, follow=True)
    assert response.redirect_chain == [(f"/tasks/{run.id}/", 302)]
    assert ("Asked to stop" in response.content.decode()) is is_running
    run.refresh_from_db()
    assert run.state == ("running" if is_running else "cancelled")
    assert told("tasks.taskrun.cancelled") == ("success", "reader", str(run.id), "changed my mind")


@pytest.mark.parametrize("reason", ["", "   "])
def test_nothing_is_done_without_a_reason(as_one: Any, people: dict[str, User], reason: str) -> None:
    run = make_dead()
    response = as_one("operator").post(f"/tasks/{run.id}/retry/", {"reason": reason})
    assert response.status_code == 400
    assert "Say why: the reason goes into the ledger." in response.content.decode()
    run.refresh_from_db()
    assert run.state == "dead"


def test_what_the_state_does_not_allow_is_said(as_one: Any) -> None:
    run = make_run()
    response = as_one("operator").post(f"/tasks/{run.id}/cancel/", {"reason": "why not"})
    assert response.status_code == 409
    assert "It&#x27;s succeeded already." in response.content.decode()


def test_a_developer_looks_and_may_not_touch(as_one: Any) -> None:
    run = make_dead()
    developer = as_one("developer")
    page = developer.get(f"/tasks/{run.id}/").content.decode()
    assert '<form method="post" action="/tasks/' not in page
    for path in (f"{run.id}/retry/", f"{run.id}/cancel/", "retry/", "queues/default/pause/"):
        assert developer.post(f"/tasks/{path}", {"reason": "curious"}).status_code == 403
    denials = Event.objects.filter(action="tasks.access.denied", outcome="denied", actor_label="developer")
    assert [event.changes["action"] for event in denials.order_by("id")] == ["retry", "cancel", "retry", "pause_queue"]
    run.refresh_from_db()
    assert run.state == "dead"


def test_another_persons_task_is_not_found(as_one: Any, people: dict[str, User]) -> None:
    run = make_dead(people["operator"])
    reader = as_one("reader")
    assert reader.get(f"/tasks/{run.id}/").status_code == 404
    for action in ("retry", "cancel"):
        assert reader.post(f"/tasks/{run.id}/{action}/", {"reason": "mine"}).status_code == 404
    denials = Event.objects.filter(action="tasks.taskrun.viewed", outcome="denied", object_id=str(run.id))
    assert denials.count() == 3
    run.refresh_from_db()
    assert run.state == "dead"


# --- many ------------------------------------------------------------------------------------------------------------


def test_many_are_shown_first_and_then_retried_by_the_same_filters(as_one: Any, people: dict[str, User]) -> None:
    ours = [make_dead(people["reader"], name="tests.mail", error="TimeoutError: no answer") for _ in range(2)]
    make_dead(name="tests.mail", error="ValueError: no")
    make_dead(name="tests.other", error="TimeoutError: none")
    make_run(name="tests.mail", outcome=Outcome.CANCELLED, error="TimeoutError: cancelled")
    operator = as_one("operator")
    page = operator.get("/tasks/retry/?name=tests.mail&error=timeout&state=cancelled").content.decode()
    assert "Retry 2 dead tasks" in page
    assert all(str(run.id) in page for run in ours)
    assert "tests.other" not in page
    assert operator.post("/tasks/retry/?name=tests.mail&error=timeout", {"reason": " "}).status_code == 400
    assert TaskRun.objects.filter(outcome=Outcome.DEAD).count() == 4
    response = operator.post("/tasks/retry/?name=tests.mail&error=timeout", {"reason": "it answers"}, follow=True)
    assert "2 tasks wait for a worker again." in response.content.decode()
    assert TaskRun.objects.filter(outcome=Outcome.DEAD).count() == 2
    event = Event.objects.get(action="tasks.taskrun.retried_many")
    assert (event.actor_label, event.context["reason"]) == ("operator", "it answers")
    assert event.changes["count"] == 2
    assert set(event.changes["ids"]) == {str(run.id) for run in ours}


def test_a_wrong_filter_retries_nothing(as_one: Any) -> None:
    make_dead()
    response = as_one("operator").post("/tasks/retry/?since=lately", {"reason": "all of them"})
    assert "is no time" in response.content.decode()
    assert TaskRun.objects.filter(outcome=Outcome.DEAD).count() == 1


# --- queues ----------------------------------------------------------------------------------------------------------


def test_a_queue_is_paused_and_resumed_with_a_reason(as_one: Any) -> None:
    operator = as_one("operator")
    response = operator.post("/tasks/queues/default/pause/", {"reason": "the database is moving"}, follow=True)
    page = response.content.decode()
    assert "Paused by operator" in page
    assert "the database is moving" in page
    assert Queue.objects.get(name="default").is_paused
    assert told("tasks.queue.paused") == ("success", "operator", "default", "the database is moving")
    again = operator.post("/tasks/queues/default/pause/", {"reason": "again"})
    assert (again.status_code, "paused already" in again.content.decode()) == (409, True)
    assert operator.post("/tasks/queues/default/resume/", {"reason": ""}).status_code == 400
    operator.post("/tasks/queues/default/resume/", {"reason": "it has moved"})
    assert not Queue.objects.get(name="default").is_paused
    assert told("tasks.queue.resumed") == ("success", "operator", "default", "it has moved")
    assert operator.post("/tasks/queues/nonsense/pause/", {"reason": "what"}).status_code == 404


def test_queues_are_for_those_who_see_all_tasks(as_one: Any) -> None:
    assert as_one("developer").get("/tasks/queues/").status_code == 200
    assert '<form method="post" action="/tasks/' not in as_one("developer").get("/tasks/queues/").content.decode()
    assert as_one("reader").get("/tasks/queues/").status_code == 403
    assert Event.objects.get(action="tasks.access.denied").changes == {"action": "view_queues"}
