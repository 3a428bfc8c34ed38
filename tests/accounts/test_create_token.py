"""`manage create_token`."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import queries
from accounts.models import ApiToken, User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def user() -> User:
    return User.objects.create_user("una", password="pa55")


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("create_token", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_token_alone_goes_to_standard_output() -> None:
    out, err = run("una", "--scope", "audit:read", "--scope", "blog:read", "--name", "CI")
    token = queries.token_with_text(out.strip())
    assert token is not None
    assert (token.user.username, token.name, token.scopes) == ("una", "CI", ["audit:read", "blog:read"])
    assert token.expires_at is not None
    assert timedelta(days=89) < token.expires_at - timezone.now() <= timedelta(days=90)
    assert "can't be shown again" in err
    assert out.strip() not in err


def test_json_for_programs() -> None:
    out, err = run("una", "--scope", "chat:read", "--expires-in-days", "0", "--format", "json")
    answer = json.loads(out)
    assert answer == {
        "id": ApiToken.objects.get().pk,
        "token": answer["token"],
        "user": "una",
        "scopes": ["chat:read"],
        "expires_at": None,
    }
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody", "--scope", "audit:read"], r"no user 'nobody'\. Users are: una\."),
        (
            ["una", "--scope", "audit:write"],
            r"Unknown scope: audit:write\. Scopes are: audit:read, .*notifications:write",
        ),
        (["una"], r"Say what the token may do with --scope\. Scopes are: audit:read"),
        (["una", "--scope", "audit:read", "--expires-in-days", "-1"], r"takes 0 to 3650"),
        (["una", "--scope", "audit:read", "--name", "x" * 101], r"at most 100 characters"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(*arguments)
    assert not ApiToken.objects.exists()


def test_an_inactive_user_gets_no_token() -> None:
    User.objects.update(is_active=False)
    with pytest.raises(CommandError, match="inactive"):
        run("una", "--scope", "audit:read")


def test_help_shows_examples_and_scopes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        call_command("create_token", "--help")
    text = capsys.readouterr().out
    assert "manage create_token auditor --scope audit:read" in text
    assert "notifications:write" in text
