"""The pages of tasks in a real browser: alive by themselves, held on request, and of use without a script."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import User
from tasks.models import Outcome, TaskAttempt, TaskRun
from tests.live import LivePlatform
from tests.tasks.making import make_dead, make_run, make_running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
PASSWORD = "right-horse-9"
OpenPage = Callable[..., Any]


@pytest.fixture
def operator(live_platform: LivePlatform) -> User:
    user = User.objects.create_user("operator", password=PASSWORD)
    user.groups.add(Group.objects.get(name="operator"))
    return user


def log_in(page: Any, path: str) -> None:
    page.goto(f"/accounts/login/?next={path}")
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{path}")


def change(run: TaskRun, **fields: Any) -> None:
    TaskRun.objects.filter(id=run.id).update(**fields)


def test_the_list_follows_what_happens_and_stands_still_on_request(open_page: OpenPage, operator: User) -> None:
    run = make_running(operator, name="tests.first")
    page = open_page()
    log_in(page, "/tasks/")
    rows = page.locator("[data-runs] tr")
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    expect(rows).to_have_count(1)
    change(run, progress_done=30, progress_total=40)
    expect(rows.first).to_contain_text("30 of 40")
    expect(rows.first.get_by_role("progressbar", name="Progress")).to_have_attribute("value", "30")
    make_dead(name="tests.second", error="ValueError: <b>bold</b>")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("ValueError: <b>bold</b>")
    expect(rows.first.locator("[data-state]")).to_have_text("Dead")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Held")).to_be_visible()
    change(run, outcome=Outcome.SUCCEEDED, lease_expires_at=None)
    make_run(name="tests.third")
    other = open_page()
    log_in(other, "/tasks/")
    other_rows = other.locator("[data-runs] tr")
    expect(other_rows).to_have_count(3)
    make_run(name="tests.fourth")
    expect(other_rows).to_have_count(4)  # so long the first has had time as well
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Go on").click()
    expect(rows).to_have_count(4)
    expect(rows.filter(has_text="tests.first").locator("[data-state]")).to_have_text("Succeeded")
    rows.filter(has_text="tests.second").get_by_role("link", name="tests.second").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("tests.second")


def test_a_tasks_page_shows_its_progress_and_its_end(open_page: OpenPage, operator: User) -> None:
    run = make_running(operator, progress_done=1, progress_total=8, progress_note="first")
    page = open_page()
    log_in(page, f"/tasks/{run.id}/")
    bar = page.get_by_role("progressbar", name="Progress")
    expect(bar).to_have_attribute("value", "1")
    change(run, progress_done=5, progress_note="fifth")
    expect(bar).to_have_attribute("value", "5")
    expect(page.locator("[data-progress-text]")).to_have_text("5 of 8 · fifth")
    page.get_by_label("Reason").fill("half typed")
    TaskAttempt.objects.create(
        run=run,
        number=1,
        started_at=run.started_at,
        ended_at=timezone.now(),
        outcome="failed",
        error="KeyError: amount",
    )
    change(run, outcome=Outcome.DEAD, lease_expires_at=None, error="KeyError: amount")
    expect(page.locator("#now")).to_contain_text("KeyError: amount")
    expect(page.locator("#attempts")).to_contain_text("Failed")
    # What somebody is writing isn't taken from under their hands.
    expect(page.get_by_label("Reason")).to_have_value("half typed")


def test_without_a_script_a_task_is_retried_and_a_queue_paused(open_page: OpenPage, operator: User) -> None:
    run = make_dead(operator, attempts=3)
    page = open_page(java_script_enabled=False)
    log_in(page, f"/tasks/{run.id}/")
    page.get_by_label("Reason").fill("it is mended")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("It waits for a worker again.")).to_be_visible()
    page.goto("/tasks/queues/")
    page.get_by_text("Pause notifications…").click()
    page.locator("#notifications").fill("quiet, please")
    page.get_by_role("button", name="Pause notifications").click()
    expect(page.get_by_text("Paused by operator")).to_be_visible()


def test_no_page_is_wider_than_a_phone(open_page: OpenPage, operator: User) -> None:
    long = "tests." + "averylongname" * 8
    run = make_dead(operator, name=long, attempts=3, error="E" * 300, arguments={"args": ["x" * 150], "kwargs": {}})
    page = open_page(viewport={"width": 320, "height": 700})
    log_in(page, "/tasks/")
    for path in ("/tasks/", f"/tasks/{run.id}/", "/tasks/retry/", "/tasks/queues/"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
