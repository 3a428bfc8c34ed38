"""`Authorization: Bearer …`: who gets in, who doesn't, and what is told and recorded of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import actions
from accounts.authentication import BearerAuthentication
from accounts.models import ApiToken, User
from accounts.scopes import ScopePermission
from telemetry import context

NewEvents = Callable[[str], Any]


class Echo(APIView):
    authentication_classes = [BearerAuthentication]
    permission_classes = [ScopePermission]
    required_scopes = {"read": "blog:read", "write": "blog:write"}

    def get(self, request: Request) -> Response:
        return Response(
            {
                "user": request.user.username,
                "token": request.auth and request.auth.pk,
                "context_token": context.current().token_id,
                "actor": context.current().actor.id,
            }
        )

    post = get


class AnyToken(Echo):
    required_scopes = {"read": None}


class Undeclared(Echo):
    required_scopes = {}


urlpatterns = [
    path("echo/", Echo.as_view()),
    path("any/", AnyToken.as_view()),
    path("undeclared/", Undeclared.as_view()),
]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def user() -> User:
    return User.objects.create_user("una", password="pa55")


@pytest.fixture
def token(user: User) -> tuple[ApiToken, str]:
    return actions.create_token(user, actor=user, scopes=["blog:read"])


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
def refusals(new_events: NewEvents) -> Callable[[], list[tuple[Any, ...]]]:
    """Return a function that tells each refusal's reason, outcome and token."""
    return lambda: [
        (event.changes["why"], event.outcome, event.object_id) for event in new_events("accounts.token.refused")
    ]


def test_a_token_lets_its_user_in_and_the_context_knows_both(client: Client, user: User, token: Any) -> None:
    answer = client.get("/echo/", headers=bearer(token[1])).json()
    assert answer == {
        "user": "una",
        "token": token[0].pk,
        "context_token": str(token[0].pk),
        "actor": str(user.pk),
    }
    assert ApiToken.objects.get().last_used_at is not None
    assert context.current().token_id == ""


def test_the_scheme_is_matched_whatever_its_case(client: Client, token: Any) -> None:
    assert client.get("/echo/", headers={"Authorization": f"bearer {token[1]}"}).json()["user"] == "una"


@pytest.mark.parametrize("header", ["Basic dW5hOnBhNTU=", "gh_something", ""])
def test_other_schemes_are_left_to_others(client: Client, header: str) -> None:
    assert client.get("/echo/", headers={"Authorization": header}).json()["token"] is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gh_" + "x" * 43, "unknown"),
        ("", "malformed"),
        ("gh_a b", "malformed"),
        ("gh_" + "x" * 300, "malformed"),
        ("otherwise", "malformed"),
        ("gh_\u00e4" + "x" * 42, "unknown"),
    ],
)
def test_what_is_no_token_is_refused_without_a_word_on_why(
    client: Client, text: str, why: str, refusals: Any, new_events: NewEvents
) -> None:
    response = client.get("/echo/", headers=bearer(text))
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="glasshouse", error="invalid_token"'
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == "This token isn't valid."
    assert refusals() == [(why, "denied", "")]
    assert not text or text not in str(new_events("accounts.token.refused").values())


def test_an_expired_token_says_so_to_whoever_holds_it(client: Client, token: Any, refusals: Any) -> None:
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    response = client.get("/echo/", headers=bearer(token[1]))
    assert (response.status_code, response.json()["detail"]) == (401, "This token has expired.")
    assert refusals() == [("expired", "denied", str(token[0].pk))]


def test_a_revoked_token_says_so_to_whoever_holds_it(client: Client, user: User, token: Any) -> None:
    actions.revoke_token(token[0], actor=user)
    response = client.get("/echo/", headers=bearer(token[1]))
    assert (response.status_code, response.json()["detail"]) == (401, "This token was revoked.")


def test_an_inactive_user_is_out_and_not_told_of(client: Client, token: Any, refusals: Any) -> None:
    User.objects.update(is_active=False)
    response = client.get("/echo/", headers=bearer(token[1]))
    assert (response.status_code, response.json()["detail"]) == (401, "This token isn't valid.")
    assert refusals() == [("inactive user", "denied", str(token[0].pk))]


def test_a_token_does_what_its_scopes_say_and_no_more(client: Client, token: Any, new_events: NewEvents) -> None:
    assert client.get("/echo/", headers=bearer(token[1])).status_code == 200
    response = client.post("/echo/", headers=bearer(token[1]))
    assert (response.status_code, response.json()["detail"]) == (403, "This token lacks the scope blog:write.")
    event = new_events("accounts.scope.denied").get()
    assert (event.outcome, event.object_id, event.changes) == ("denied", str(token[0].pk), {"scope": "blog:write"})


def test_a_view_may_take_any_token(client: Client, user: User) -> None:
    _, text = actions.create_token(user, actor=user, scopes=[])
    assert client.get("/any/", headers=bearer(text)).status_code == 200


def test_a_view_that_says_nothing_takes_the_scope_of_its_app_which_may_not_exist(client: Client, token: Any) -> None:
    response = client.get("/undeclared/", headers=bearer(token[1]))
    assert response.status_code == 403
    assert response.json()["detail"].endswith(":read.")


def test_people_need_no_scope(client: Client) -> None:
    assert client.post("/echo/").status_code == 200
