"""The list of tasks goes by key, and its statements by the indexes that are there for them."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from tasks import filters
from tasks.errors import KeyFormError
from tasks.listing import Place, key_of, run_page
from tasks.models import TaskRun
from tasks.queries import runs_visible_to
from tests.tasks.making import make_dead, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    return User.objects.create_superuser("root", password="x")


def test_pages_by_key_show_each_run_once_in_both_directions(admin: User) -> None:
    now = timezone.now()
    # Three at each moment: the id decides among them.
    made = [make_run(enqueued_at=now - timedelta(seconds=number // 3)) for number in range(20)]
    order = [run.pk for run in sorted(made, key=key_of, reverse=True)]
    there, keys = [], [""]
    while keys[-1] or not there:
        page = run_page(admin, filters.EVERYTHING, Place(before=keys[-1]), size=7)
        there.append([run.pk for run in page.runs])
        assert bool(page.newer) is (len(there) > 1)
        keys.append(page.older)
    assert [pk for page_keys in there for pk in page_keys] == order
    back = run_page(admin, filters.EVERYTHING, Place(after=key_of(made[-1])), size=7)
    assert [run.pk for run in back.runs] == order[order.index(made[-1].pk) - 7 : order.index(made[-1].pk)]


def test_what_comes_meanwhile_moves_no_page(admin: User) -> None:
    for _ in range(4):
        make_run()
    first = run_page(admin, filters.EVERYTHING, size=2)
    second = run_page(admin, filters.EVERYTHING, Place(before=first.older), size=2)
    new = make_run()
    assert run_page(admin, filters.EVERYTHING, Place(before=first.older), size=2) == second
    assert run_page(admin, filters.EVERYTHING, Place(after=second.newer), size=2).runs == first.runs
    assert run_page(admin, filters.EVERYTHING, size=2).runs[0] == new


def test_newer_than_the_top_is_the_top(admin: User) -> None:
    runs = [make_run(enqueued_at=timezone.now() - timedelta(minutes=number)) for number in range(3)]
    page = run_page(admin, filters.EVERYTHING, Place(after=key_of(runs[1])), size=2)
    assert ([run.pk for run in page.runs], page.newer) == ([runs[0].pk, runs[1].pk], "")


@pytest.mark.parametrize("key", ["x", "2026-01-01_1", "2026-01-01T00:00:00_", "9" * 500, "2026-13-01T00:00:00Z_1"])
def test_a_forged_key_is_told(client: Client, admin: User, key: str) -> None:
    with pytest.raises(KeyFormError):
        run_page(admin, filters.EVERYTHING, Place(before=key))
    client.force_login(admin)
    response = client.get("/tasks/", {"after": key})
    assert (response.status_code, "This is no place in the list" in response.content.decode()) == (200, True)


@pytest.mark.parametrize(
    ("asked", "indexes"),
    [
        # Both hold the dead; which is cheaper goes by what the planner last counted.
        ({"state": "dead"}, {"tasks_taskrun_dead", "tasks_taskrun_ended_badly"}),
        ({"state": "cancelled"}, {"tasks_taskrun_ended_badly"}),
        ({"error": "Timeout"}, {"tasks_taskrun_ended_badly"}),
        ({"state": "running"}, {"tasks_taskrun_unfinished"}),
        ({"state": "queued", "queue": "default"}, {"tasks_taskrun_unfinished"}),
        ({"request_id": "req-12345678"}, {"tasks_taskrun_request"}),
    ],
)
def test_each_filter_for_few_can_go_by_an_index_for_few(admin: User, asked: dict[str, str], indexes: set[str]) -> None:
    """With few rows the planner has no reason to; it says whether it could."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = filters.parse(asked).of(runs_visible_to(admin)).order_by().explain()
    assert set(re.findall(r"\btasks_taskrun_\w+", plan)) & indexes, plan


def test_the_whole_list_is_one_statement_however_many_rows(client: Client, admin: User) -> None:
    client.force_login(admin)
    counts = []
    for many in (1, 20):
        for _ in range(many):
            make_dead(admin)
        with CaptureQueriesContext(connection) as caught:
            assert client.get("/tasks/").status_code == 200
        counts.append(sum("tasks_taskrun" in one["sql"] for one in caught))
    assert counts == [1, 1]


def test_a_page_holds_nothing_but_what_it_shows(admin: User) -> None:
    make_dead(admin, arguments={"args": ["x" * 100], "kwargs": {}})
    (run,) = run_page(admin, filters.EVERYTHING).runs
    assert run.get_deferred_fields() == {"message", "carrier", "arguments", "result"}
    assert TaskRun.objects.count() == 1


def test_a_search_that_takes_too_long_is_told(client: Client, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from audit.errors import SearchTooLongError
    from tasks.views import runs

    def take_too_long(*args: Any, **kwargs: Any) -> None:
        raise SearchTooLongError

    monkeypatch.setattr(runs, "run_page", take_too_long)
    client.force_login(admin)
    assert "takes too long to find" in client.get("/tasks/?name=none.such").content.decode()
