"""Auditors ask the ledger by REST."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

import audit
from accounts.models import ApiToken, User, digest_token, new_token_text
from audit.models import Event
from telemetry.context import Actor, Context, new_request_id, use

pytestmark = pytest.mark.django_db
URL = "/api/audit/events/"


@pytest.fixture
def auditor() -> User:
    user = User.objects.create(username="auditor")
    user.user_permissions.add(Permission.objects.get(codename="view_event", content_type__app_label="audit"))
    return user


def token_for(user: User, *scopes: str) -> dict[str, str]:
    text = new_token_text()
    ApiToken.objects.create(user=user, prefix=text[:8], digest_hex=digest_token(text), scopes=list(scopes))
    return {"Authorization": f"Bearer {text}"}


def ask(client: Client, headers: dict[str, str], **query: Any) -> Any:
    return client.get(URL, query, headers=headers)


def test_a_token_with_the_scope_reads_the_ledger(client: Client, auditor: User) -> None:
    target = User.objects.create(username="bob")
    answer = ask(client, token_for(auditor, "audit:read"), object_type="accounts.user", object_id=target.pk)

    (event,) = answer.json()["results"]
    assert answer.status_code == 200
    assert event["action"] == "accounts.user.created"
    assert event["changes"]["username"] == [None, "bob"]


@pytest.mark.parametrize("scopes", [(), ("blog:read",)])
def test_a_token_without_the_scope_is_refused_and_the_refusal_recorded(
    client: Client, auditor: User, scopes: tuple[str, ...]
) -> None:
    answer = ask(client, token_for(auditor, *scopes))

    assert answer.status_code == 403
    assert "audit:read" in answer.json()["detail"]
    assert Event.objects.filter(action="audit.ledger.read_denied", outcome="denied").exists()


def test_a_scope_gives_no_more_than_its_user_may(client: Client) -> None:
    reader = User.objects.create(username="reader")

    assert ask(client, token_for(reader, "audit:read")).status_code == 403


def test_nobody_reads_it_without_logging_in(client: Client) -> None:
    assert ask(client, {}).status_code == 401


def test_filters_by_request_actor_action_outcome_and_time(client: Client, auditor: User) -> None:
    headers = token_for(auditor, "audit:read")
    request_id = new_request_id()
    with use(Context(request_id=request_id, origin="http", actor_source=Actor("user", "77", "alice"))):
        User.objects.create(username="bob")
        audit.record("access.denied", outcome="denied")

    def actions(**query: Any) -> set[str]:
        return {event["action"] for event in ask(client, headers, **query).json()["results"]}

    assert actions(request=request_id) == {"accounts.user.created", "access.denied"}
    assert actions(actor="77", outcome="denied") == {"access.denied"}
    assert actions(actor="77", action="accounts.user.created") == {"accounts.user.created"}
    assert actions(actor="77", since="2200-01-01T00:00:00Z") == set()
    assert actions(actor="77", until="2000-01-01T00:00:00Z") == set()


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"colour": "red"}, "colour"),
        ({"since": "yesterday"}, "since"),
        ({"outcome": "perhaps"}, "outcome"),
        ({"limit": "many"}, "limit"),
    ],
)
def test_a_wrong_filter_is_refused_by_name(client: Client, auditor: User, query: dict[str, str], named: str) -> None:
    answer = ask(client, token_for(auditor, "audit:read"), **query)

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert named in answer.json()["errors"]
    assert answer.json()["request_id"] == answer["X-Request-ID"]


def test_pages_by_cursor_skip_and_repeat_nothing(client: Client, auditor: User) -> None:
    headers = token_for(auditor, "audit:read")
    User.objects.bulk_create([User(username=f"user-{number}") for number in range(25)])
    found: list[int] = []
    url: str | None = f"{URL}?action=accounts.user.created&limit=10"
    while url:
        page = client.get(url, headers=headers).json()
        found += [event["id"] for event in page["results"]]
        url = page["next"]

    assert len(found) == len(set(found)) == Event.objects.filter(action="accounts.user.created").count()
    assert found == sorted(found, reverse=True)


def test_reading_the_ledger_is_an_event_too(client: Client, auditor: User) -> None:
    ask(client, token_for(auditor, "audit:read"), actor="77")

    event = Event.objects.filter(action="audit.ledger.read").latest("id")
    assert event.changes["filters"] == {"actor": "77"}
    assert event.actor_id == str(auditor.pk)


def test_the_page_shows_differences_and_names_a_wrong_filter(client: Client, auditor: User) -> None:
    client.force_login(auditor)
    User.objects.create(username="bob-the-page")

    page = client.get("/audit/", {"object_type": "accounts.user"})
    wrong = client.get("/audit/", {"since": "yesterday"})

    assert "bob-the-page" in page.content.decode()
    assert (wrong.status_code, "since" in wrong.content.decode()) == (400, True)


def test_the_page_is_for_auditors_alone(client: Client) -> None:
    client.force_login(User.objects.create(username="reader"))

    assert client.get("/audit/").status_code == 403


def test_logins_and_failures_are_recorded_without_the_password(client: Client) -> None:
    # Denials are kept on a connection of their own, so those of earlier tests are still there.
    earlier = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
    User.objects.create_user("bob", password="right-horse-9")
    client.post("/accounts/login/", {"username": "bob", "password": "canary-wrong-password"})
    client.post("/accounts/login/", {"username": "bob", "password": "right-horse-9"})
    client.post("/accounts/logout/")

    rows = Event.objects.filter(
        id__gt=earlier, action__in=[f"accounts.user.{verb}" for verb in ("login_failed", "logged_in", "logged_out")]
    )
    assert sorted((row.action, row.outcome) for row in rows) == [
        ("accounts.user.logged_in", "success"),
        ("accounts.user.logged_out", "success"),
        ("accounts.user.login_failed", "denied"),
    ]
    assert not any("canary" in str(row.changes) + str(row.context) for row in Event.objects.all())
