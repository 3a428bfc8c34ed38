"""Every model is decided about, and the decision can't contradict itself."""

import pytest
from django.core.checks import run_checks
from django.db import connections

from audit import install, registry, status
from audit.errors import RegistrationError


def test_every_model_of_the_project_is_tracked_or_exempt() -> None:
    assert [error for error in run_checks() if error.id and error.id.startswith("audit.")] == []


def test_a_model_nobody_decided_about_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    tracked = dict(registry._tracked)
    del tracked["accounts.user"]
    monkeypatch.setattr(registry, "_tracked", tracked)

    (error,) = [error for error in run_checks() if error.id == "audit.E001"]

    assert "accounts.User" in error.msg
    assert "audit.exempt" in str(error.hint)


def test_a_model_cant_be_tracked_in_two_ways() -> None:
    with pytest.raises(RegistrationError, match="twice"):
        registry.register("accounts.User", exclude=["email"])


def test_a_tracked_model_cant_be_exempt() -> None:
    from accounts.models import User

    with pytest.raises(RegistrationError, match=r"tracked; it can.t be exempt"):
        registry.exempt(reason="none")(User)


def test_what_a_model_derives_has_to_be_there_and_has_one_maker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_derived", {})
    registry.derives("auth.Group", "nothing")(print)
    with pytest.raises(RegistrationError, match="no field nothing"):
        registry.tracked_models()
    with pytest.raises(RegistrationError, match="two functions"):
        registry.derives("auth.Group", "name")(repr)


def test_an_exemption_needs_a_reason() -> None:
    with pytest.raises(RegistrationError, match="reason"):
        registry.exempt(reason=" ")


@pytest.mark.django_db(databases=["default", "owner"])
def test_installing_again_changes_nothing() -> None:
    assert status.read("default").problems == []
    report = install.install("owner")
    connections["owner"].close()

    assert (report.partitions, report.captures) == (0, [])
