"""The request page in a real browser: read by keyboard, on a phone, in the dark, without a script of its own."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from playwright.sync_api import expect

from accounts.models import User
from tests.live import LivePlatform
from tests.ops.conftest import Recorder

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
PASSWORD = "right-horse-9"
TASK = "01a20a13-5806-7e2e-aa24-03134997b5fb"
OpenPage = Callable[..., Any]


@pytest.fixture
def story_id(live_platform: LivePlatform) -> str:
    """A page that repeats a query, sends a task that fails, and pushes to sockets."""
    developer = User.objects.create_user("developer", password=PASSWORD)
    developer.user_permissions.set(Permission.objects.filter(codename="view_request_page"))
    recorder = Recorder()
    request = recorder.request("GET /a-rather-long-address/<int:of>/some/<slug:page>/", 100)
    for place in range(14):
        recorder.query("user", 5 * place, request, 2)
    lost = (("retry", {"reason": "OperationalError: the server went away"}),)
    recorder.attempt(TASK, 1, 130, "RETRY", notes=lost, parent=request)
    stack = 'Traceback (most recent call last):\n  File "reports.py", line 7, in build\nKeyError: amount'
    failure = {"exception.type": "KeyError", "exception.message": "amount", "exception.stacktrace": stack}
    recorder.attempt(TASK, 2, 9_000, "FAILURE", error="KeyError", notes=(("exception", failure),))
    push = recorder.push(request, 95)
    times = [2 + place / 7 for place in range(50)]
    told = {"broadcast__recipients": 200, "broadcast__delivered": 200, "broadcast__latency__last_ms": 30.0}
    recorder.delivery(push, 97, broadcast__latencies_ms=times, **told)
    return recorder.save()


def open_story(open_page: OpenPage, story_id: str, **options: Any) -> Any:
    page = open_page(**options)
    page.goto(f"/accounts/login/?next=/ops/requests/{story_id}/")
    page.get_by_label("Username").fill("developer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**/{story_id}/")
    return page


def test_a_developer_sees_at_a_glance_what_went_wrong_and_follows_it(open_page: OpenPage, story_id: str) -> None:
    page = open_story(open_page, story_id)
    first = page.get_by_role("region", name="Look here first")

    expect(first).to_contain_text("SELECT user ran 14 times at user/queries.py:31")
    expect(first).to_contain_text("tasks.report was given up after 2 attempts: KeyError: amount")
    first.get_by_role("link", name="Show Task failed in the timeline").click()
    row = page.locator(".step:target")
    expect(row).to_contain_text("process tasks.report")
    expect(row).to_contain_text('File "reports.py", line 7, in build')
    expect(row.locator("summary.row").first).to_be_focused()


def test_the_timeline_is_read_by_keyboard(open_page: OpenPage, story_id: str) -> None:
    page = open_story(open_page, story_id)
    rows = page.locator("summary.row")
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("SELECT * FROM user WHERE id = %s").first).to_be_visible()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    expect(rows.nth(1)).to_be_hidden()
    page.get_by_role("button", name="Unfold all").click()
    expect(rows.nth(1)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_it_fits_every_screen_and_breaks_no_rule_of_the_policy(
    open_page: OpenPage, story_id: str, width: int, scheme: str
) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
    page.goto(f"/accounts/login/?next=/ops/requests/{story_id}/")
    page.get_by_label("Username").fill("developer")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**/{story_id}/")

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [text for text in complaints if "Content Security Policy" in text] == []
    bars = page.locator(".bar rect").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")
    assert bars
    assert all(bar > 0 for bar in bars)


def test_it_needs_no_script(open_page: OpenPage, story_id: str) -> None:
    page = open_story(open_page, story_id, java_script_enabled=False)
    expect(page.get_by_role("button", name="Copy JSON")).to_be_hidden()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    page.get_by_role("link", name="This story as JSON").click()

    assert '"findings"' in page.content()
