"""Maintenance mode in a real browser: who is there is told, who comes is turned away, and both see its end."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from accounts.models import User
from ops.maintenance import actions
from tests.conftest import WaitUntil
from tests.e2e.test_one_comment import PASSWORD, log_in
from tests.live import LivePlatform

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


def test_open_pages_are_told_and_the_line_goes_when_it_is_over(
    open_page: Callable[..., Any], live_platform: LivePlatform, wait_until: WaitUntil
) -> None:
    for name, is_staff in (("reader", False), ("operator", True)):
        User.objects.create_user(name, password=PASSWORD, is_staff=is_staff)
    reader, operator, stranger = open_page(), open_page(), open_page()
    for page, name in ((reader, "reader"), (operator, "operator")):
        log_in(page, name, "/notifications/")
    ends_at = datetime.now(UTC) + timedelta(minutes=30)
    actions.begin_maintenance(actor=None, message="We <i>move</i> house.", ends_at=ends_at)
    line = f"Maintenance mode is on until {ends_at:%H:%M} UTC. We <i>move</i> house."
    for page in (reader, operator):
        expect(page.get_by_text("Maintenance mode is on").locator("..")).to_have_text(line)
    wait_until(lambda: stranger.goto("/blog/").status == 503)  # each process looks for itself, once a second
    expect(stranger.get_by_role("heading", name="We are working on it")).to_be_visible()
    expect(stranger.get_by_text("We <i>move</i> house.")).to_be_visible()
    assert operator.goto("/blog/").status == 200
    expect(operator.get_by_text("Maintenance mode is on")).to_be_visible()
    actions.end_maintenance(actor=None)
    for page in (reader, operator):
        expect(page.get_by_text("Maintenance mode is on")).to_have_count(0, timeout=60_000)
    wait_until(lambda: stranger.request.get("/blog/").status == 200)
    stranger.get_by_role("link", name="Try again").click()
    expect(stranger.get_by_role("heading", name="Blog")).to_be_visible()
