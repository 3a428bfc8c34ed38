"""Restoring by the API and by the command, by those who may."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import User
from audit.models import Event
from tests.audit.everything.models import (
    Restaurant,
    Thing,
)
from tests.audit.histories import THING, address, clock, deleted, log_in
from tests.audit.readers import token_for, user_with

MAY = ("view_event", "restore_object", "change_thing", "add_thing")


# --- the API -------------------------------------------------------------------------------------------------------


@pytest.fixture
def changed(db: None) -> tuple[Thing, str]:
    """Let a thing change, and give the time before."""
    thing = Thing.objects.create(name="a", number=1)
    at = clock().isoformat()
    Thing.objects.update(number=2)
    return thing, at


def post(client: Client, thing: Any, body: Any, headers: dict[str, str] | None = None) -> Any:
    url = f"{address(thing._meta.label_lower, thing.pk)}restore/"
    return client.post(url, body, content_type="application/json", headers=headers)


def test_the_api_plans_first_and_applies_what_was_planned(client: Client, changed: tuple[Thing, str]) -> None:
    thing, at = changed
    user = log_in(client, *MAY)

    plan = post(client, thing, {"at": at}).json()
    assert (plan["action"], plan["changes"], plan["applied"]) == ("update", {"number": [2, 1]}, False)
    apply = {"at": at, "reason": "defaced", "apply": True}
    assert list(post(client, thing, apply).json()["errors"]) == ["expected"]
    assert post(client, thing, {**apply, "expected": "other"}).status_code == 409
    done = post(client, thing, {**apply, "expected": plan["fingerprint"]})

    assert done.status_code == 200
    assert done.json()["applied"] is True
    assert done.json()["event"]["action"] == "everything.thing.restored"
    assert done.json()["event"]["actor_id"] == str(user.pk)
    thing.refresh_from_db()
    assert thing.number == 1
    again = post(client, thing, {**apply, "expected": plan["fingerprint"]})
    assert (again.status_code, "changed since" in again.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "at"),
        ({"at": "yesterday"}, "at"),
        ({"at": 5}, "at"),
        ({"at": "2000-01-01"}, "at"),
        ({"at": "2200-01-01"}, "at"),
        ({"at": "2026-01-01", "colour": "red"}, "colour"),
        ({"at": "2026-01-01", "apply": "yes"}, "apply"),
        ({"at": "2026-01-01", "apply": True, "expected": "x"}, "reason"),
        ({"at": "2026-01-01", "apply": True, "expected": "x", "reason": 7}, "reason"),
        ({"at": "2026-01-01", "apply": True, "reason": "x"}, "expected"),
        ([], "non_field_errors"),
    ],
)
def test_a_wrong_body_is_refused_by_name(client: Client, changed: tuple[Thing, str], body: Any, named: str) -> None:
    log_in(client, *MAY)

    answer = post(client, changed[0], body)

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [named]


@pytest.mark.parametrize(
    ("permissions", "is_deleted", "missing"),
    [
        (("view_event", "change_thing", "add_thing"), False, "audit.restore_object"),
        (("view_event", "restore_object", "add_thing"), False, "everything.change_thing"),
        (("view_event", "restore_object", "change_thing"), True, "everything.add_thing"),
    ],
)
def test_who_may_not_is_refused_and_the_refusal_recorded(
    client: Client, changed: tuple[Thing, str], permissions: tuple[str, ...], is_deleted: bool, missing: str
) -> None:
    thing, at = changed
    latest = Event.objects.latest("id").pk
    log_in(client, *permissions)
    if is_deleted:
        deleted(thing)

    answer = post(client, thing, {"at": at})

    assert answer.status_code == 403
    assert missing in answer.json()["detail"]
    denial = Event.objects.get(action="audit.ledger.restore_denied", object_id=str(thing.pk), id__gt=latest)
    assert (denial.outcome, denial.changes) == ("denied", {"missing": missing})


def test_a_token_needs_its_scope_as_well(client: Client, changed: tuple[Thing, str]) -> None:
    thing, at = changed
    user = user_with(*MAY)

    codes = [
        post(client, thing, {"at": at}, token_for(user, *scopes)).status_code
        for scopes in (("audit:read",), ("audit:restore",), ("audit:read", "audit:restore"))
    ]

    assert codes == [403, 403, 200]


def test_what_may_not_be_seen_cant_be_restored(client: Client, changed: tuple[Thing, str]) -> None:
    thing, at = changed
    user = log_in(client, "view_events_of_everything_tag", *MAY[1:])

    assert post(client, thing, {"at": at}).status_code == 404
    assert post(client, Thing(pk=0), {"at": at}).status_code == 404
    restaurant = Restaurant.objects.create(name="a")
    user.user_permissions.add(*user_with("view_events_of_everything_restaurant", name="x").user_permissions.all())
    refused = post(client, restaurant, {"at": clock().isoformat()})
    assert (refused.status_code, "everything.place" in refused.json()["detail"]) == (403, True)


def test_personal_values_are_hidden_in_a_plan(client: Client, db: None) -> None:
    bob = User.objects.create(username="bob", email="bob@example.org")
    at = clock().isoformat()
    User.objects.filter(pk=bob.pk).update(email="canary@example.org")
    log_in(client, "view_event", "restore_object", "change_user")

    answer = post(client, bob, {"at": at})

    assert answer.json()["changes"] == {"email": [{"hidden": "personal"}] * 2}
    assert b"example.org" not in answer.content


# --- the command ---------------------------------------------------------------------------------------------------


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("audit_restore", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_says_what_it_would_do_and_does_it_when_told(changed: tuple[Thing, str]) -> None:
    thing, at = changed
    asked = (THING, str(thing.pk), "--at", at)

    said = run(*asked)
    planned = json.loads(run(*asked, "--format", "json"))
    thing.refresh_from_db()
    assert ("number: 2 -> 1" in said, "--apply" in said, thing.number) == (True, True, 2)
    assert (planned["changes"], planned["applied"]) == ({"number": [2, 1]}, False)
    done = json.loads(run(*asked, "--format", "json", "--apply", "--reason", "defaced"))

    thing.refresh_from_db()
    assert thing.number == 1
    assert Event.objects.get(pk=done["event"]).context["reason"] == "defaced"
    assert "nothing to restore" in run(*asked)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((THING, "0", "--at", "2026-01-01"), "didn't exist"),
        ((THING, "1", "--at", "yesterday"), "is no time"),
        (("no.such", "1", "--at", "2026-01-01"), "no tracked model"),
        ((THING, "1", "--at", "2026-01-01", "--apply"), "reason"),
    ],
)
def test_the_command_refuses_with_the_reason(db: None, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(*arguments)
