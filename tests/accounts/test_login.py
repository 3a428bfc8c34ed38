"""Logging in and out, and the brake on guessing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from accounts import login_throttle
from accounts.models import User

pytestmark = pytest.mark.django_db
NewEvents = Callable[[str], Any]
LOGIN = "/accounts/login/"
WRONG = {"username": "una", "password": "wrong"}
RIGHT = {"username": "una", "password": "pa55"}


@pytest.fixture(autouse=True)
def user() -> User:
    return User.objects.create_user("una", password="pa55")


def test_the_page_shows_the_demo_accounts_where_there_are_any(client: Client, settings: Any) -> None:
    page = client.get(LOGIN).content.decode()
    assert "moderator" in page
    assert settings.DEMO_PASSWORD in page
    settings.DEMO_PASSWORD = None
    page = client.get(LOGIN).content.decode()
    assert "moderator" not in page
    assert "Demo accounts" not in page


def test_a_login_leads_to_the_next_page_and_is_in_the_ledger(client: Client, user: User, new_events: NewEvents) -> None:
    response = client.post(LOGIN, {**RIGHT, "next": "/notifications/"})
    assert (response.status_code, response.headers["Location"]) == (302, "/notifications/")
    event = new_events("accounts.user.logged_in").get()
    assert (event.object_id, event.outcome) == (str(user.pk), "success")


@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "/\\evil.example"])
def test_next_never_leads_elsewhere(client: Client, evil: str) -> None:
    assert client.post(LOGIN, {**RIGHT, "next": evil}).headers["Location"] == "/"


def test_a_failure_says_the_same_whoever_exists(client: Client, new_events: NewEvents) -> None:
    pages = []
    for name in ("una", "nobody"):
        response = client.post(LOGIN, {"username": name, "password": "wrong"})
        assert response.status_code == 200
        pages.append(response.content.decode())
    assert "belong together" in pages[0]
    message = [page[page.index("login-error") :].partition("</p>")[0] for page in pages]
    assert message[0] == message[1]
    assert "wrong" not in pages[0].partition("belong together")[2].replace("Something went wrong", "")
    assert new_events("accounts.user.login_failed").count() == 2


def test_an_inactive_user_is_told_nothing_more(client: Client) -> None:
    User.objects.update(is_active=False)
    assert "belong together" in client.post(LOGIN, RIGHT).content.decode()


def test_logging_out_takes_a_post(client: Client, user: User, new_events: NewEvents) -> None:
    client.force_login(user)
    assert client.get("/accounts/logout/").status_code == 405
    response = client.post("/accounts/logout/")
    assert (response.status_code, response.headers["Location"]) == (302, "/")
    assert response.headers["Clear-Site-Data"] == '"storage"'
    assert new_events("accounts.user.logged_out").count() == 1


def test_the_admin_has_no_login_or_logout_of_its_own(client: Client) -> None:
    response = client.get("/admin/login/?next=/admin/accounts/")
    assert response.headers["Location"] == "/accounts/login/?next=/admin/accounts/"
    assert client.post("/admin/logout/").headers["Clear-Site-Data"] == '"storage"'
    assert client.post("/admin/login/", RIGHT).headers["Location"].startswith("/accounts/login/")


def test_a_user_who_may_not_see_a_page_is_told_instead_of_sent_around(client: Client, user: User) -> None:
    client.force_login(user)
    response = client.get("/admin/", follow=True)
    assert response.redirect_chain[-1][0].startswith("/accounts/login/")
    assert "may not open that page" in response.content.decode()


def fail(client: Client, times: int, **extra: str) -> Any:
    for _ in range(times):
        response = client.post(LOGIN, WRONG, **extra)
    return response


def test_guessing_is_braked_for_the_account_and_the_address_alone(client: Client, new_events: NewEvents) -> None:
    User.objects.create_user("otto", password="pa55")
    assert fail(client, 10).status_code == 200
    response = client.post(LOGIN, RIGHT)
    assert response.status_code == 429
    assert 50 <= int(response.headers["Retry-After"]) <= 60
    assert "Please wait 1 minute" in response.content.decode()
    assert new_events("accounts.login.throttled").count() == 1
    assert new_events("accounts.user.login_failed").count() == 10
    assert client.post(LOGIN, {"username": "otto", "password": "pa55"}).status_code == 302
    assert Client().post(LOGIN, RIGHT, REMOTE_ADDR="192.0.2.7").status_code == 302


def test_the_name_is_one_however_it_is_written(client: Client) -> None:
    fail(client, 10)
    assert client.post(LOGIN, {**RIGHT, "username": " UNA "}).status_code == 429


def test_after_the_wait_one_attempt_is_free_and_the_next_wait_is_longer(client: Client) -> None:
    fail(client, 10)
    _, wait_key = login_throttle._keys("una", "127.0.0.1")
    cache.delete(wait_key)  # as the wait's end does
    assert client.post(LOGIN, WRONG).status_code == 200
    response = client.post(LOGIN, WRONG)
    assert response.status_code == 429
    assert 110 <= int(response.headers["Retry-After"]) <= 120
    cache.delete(wait_key)
    assert client.post(LOGIN, RIGHT).status_code == 302
    client.logout()
    assert fail(client, 9).status_code == 200  # forgiven and forgotten


def test_refused_attempts_make_no_wait_longer(client: Client) -> None:
    fail(client, 30)
    assert int(client.post(LOGIN, WRONG).headers["Retry-After"]) <= 60


def test_waits_double_up_to_fifteen_minutes() -> None:
    assert [login_throttle.wait_after(n) for n in (10, 11, 12, 13, 14, 1_000_000)] == [60, 120, 240, 480, 900, 900]


@pytest.mark.parametrize("is_quiet", [True, False])
def test_without_its_cache_people_can_log_in(
    client: Client, settings: Any, is_quiet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHES = {
        "default": {
            **settings.CACHES["default"],
            "LOCATION": "redis://127.0.0.1:1/0",
            "OPTIONS": {"IGNORE_EXCEPTIONS": is_quiet, "SOCKET_CONNECT_TIMEOUT": 1},
        }
    }
    warnings: list[str] = []
    monkeypatch.setattr(login_throttle.log, "warning", lambda event, **fields: warnings.append(event))
    assert fail(client, 12).status_code == 200
    assert client.post(LOGIN, RIGHT).status_code == 302
    assert set(warnings) == {"accounts.login_throttle_unavailable"}
