"""What a task's page shows of its log lines: its own, as they were kept, and nothing breaks where they aren't."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User
from tasks.lines import lines_of
from telemetry.tracing.lines import RecentLines, recent_lines
from tests.tasks.making import make_run

pytestmark = pytest.mark.django_db

REQUEST = "01a20a147022726bbca69b411c9f6b6f"


@pytest.fixture
def store() -> Iterator[RecentLines]:
    kept = recent_lines()
    yield kept
    kept.stop()


def write(store: RecentLines, **fields: Any) -> None:
    line = {"level": "warning", "request_id": REQUEST, "timestamp": "2026-03-01T12:00:00.250000Z", **fields}
    store.keep(line)
    assert store.flush()


def test_a_tasks_own_lines_are_shown_with_what_the_page_does_not_say_elsewhere(store: RecentLines) -> None:
    run = make_run(request_id=REQUEST)
    write(store, event="tests.slow", task_id=str(run.pk), seconds=7, user_id="1")
    write(store, event="tasks.died", level="error", run_id=str(run.pk))
    write(store, event="tests.other", task_id="another")
    slow, died = lines_of(run) or []
    assert (slow.event, slow.level, slow.fields, slow.tone) == ("tests.slow", "warning", "seconds=7", "warn")
    assert slow.at is not None
    assert slow.at.isoformat() == "2026-03-01T12:00:00.250000+00:00"
    assert (died.event, died.tone) == ("tasks.died", "bad")


def test_lines_are_for_those_who_may_follow_requests(client: Client, store: RecentLines) -> None:
    reader = User.objects.create_user("reader", password="x")
    run = make_run(reader, request_id=REQUEST)
    write(store, event="tests.slow", task_id=str(run.pk))
    client.force_login(reader)
    assert "Log lines" not in client.get(f"/tasks/{run.pk}/").content.decode()
    reader.user_permissions.add(Permission.objects.get(codename="view_request_page"))
    page = client.get(f"/tasks/{run.pk}/").content.decode()
    assert "tests.slow" in page
    assert f"/ops/requests/{REQUEST}/" in page


def test_a_store_that_is_down_costs_the_lines_alone(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.lines.recent_lines", lambda: RecentLines("redis://127.0.0.1:1/0"))
    admin = User.objects.create_superuser("root", password="x")
    run = make_run(request_id=REQUEST)
    assert lines_of(run) is None
    client.force_login(admin)
    response = client.get(f"/tasks/{run.pk}/")
    assert (response.status_code, "The store of recent lines" in response.content.decode()) == (200, True)
