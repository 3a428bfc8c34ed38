"""Which scope a view takes."""

from typing import Any

import pytest

from accounts.scopes import SCOPES, checked_scopes, required_scope


def a_view(module: str, **attributes: Any) -> Any:
    return type("View", (), {"__module__": module, **attributes})()


@pytest.mark.parametrize(
    ("method", "scope"), [("GET", "chat:read"), ("HEAD", "chat:read"), ("POST", "chat:write"), ("DELETE", "chat:write")]
)
def test_a_view_takes_the_scopes_of_its_app(method: str, scope: str) -> None:
    assert required_scope(a_view("chat.api"), method) == scope
    assert scope in SCOPES


def test_a_view_that_differs_says_so() -> None:
    view = a_view("config.api", required_scopes={"read": None, "write": "blog:write"})
    assert required_scope(view, "GET") is None
    assert required_scope(view, "PUT") == "blog:write"


def test_all_scopes_pass_the_check() -> None:
    assert checked_scopes(reversed(SCOPES)) == sorted(SCOPES)
