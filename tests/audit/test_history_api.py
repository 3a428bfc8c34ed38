"""The past by the API: versions, states and differences, for those who may see them."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client

import audit
from accounts.models import User
from audit.history import states
from audit.models import Event
from audit.reading.cursors import Cursor, parse
from tests.audit.everything.models import (
    Part,
    Tag,
    TextKeyed,
    Thing,
)
from tests.audit.histories import TAG, THING, address, clock, log_in


@pytest.fixture
def lived(db: None) -> tuple[Thing, list[datetime]]:
    """Let a thing live: the times are before it, after its creation, its change, and its deletion."""
    times = [clock()]
    thing = Thing.objects.create(name="a", number=1)
    times.append(clock())
    Thing.objects.filter(pk=thing.pk).update(number=2)
    times.append(clock())
    key = thing.pk
    thing.delete()
    thing.pk = key
    times.append(clock())
    return thing, times


def test_versions_come_in_their_sequence_page_by_page(client: Client, lived: tuple[Thing, list[datetime]]) -> None:
    thing, _times = lived
    log_in(client, "view_event")
    url = address(THING, thing.pk)

    newest = client.get(url, {"limit": "2"}).json()
    rest = client.get(newest["next"]).json()
    oldest = client.get(url, {"order": "oldest"}).json()

    verbs = [event["action"].rpartition(".")[2] for event in newest["results"] + rest["results"]]
    assert verbs == ["deleted", "updated", "created"]
    assert rest["next"] is None
    assert oldest["results"] == (newest["results"] + rest["results"])[::-1]
    page = states.versions(THING, str(thing.pk), Cursor("oldest"), limit=1)
    assert page.next is not None
    assert len(states.versions(THING, str(thing.pk), parse(str(page.next))).events) == 2


def test_the_api_tells_the_state_at_a_time_and_a_difference(
    client: Client, lived: tuple[Thing, list[datetime]]
) -> None:
    thing, times = lived
    log_in(client, "view_event")
    url = address(THING, thing.pk)
    before, created, updated, deleted = (at.isoformat() for at in times)

    def at(text: str) -> Any:
        return client.get(url, {"at": text}).json()

    assert (at(before)["exists"], at(before)["version"]) == (False, None)
    assert at(created)["state"] == {"id": thing.pk, "name": "a", "number": 1, "note": "", "parent_id": None}
    assert at(created)["unknown"] == []
    assert Event.objects.get(pk=at(updated)["version"]).action == "everything.thing.updated"
    assert (at(deleted)["exists"], at(deleted)["state"]) == (False, {})
    assert client.get(url, {"from": created, "to": updated}).json()["changes"] == {"number": [1, 2]}
    read = Event.objects.filter(action="audit.ledger.read").latest("id")
    assert (read.object_type, read.object_id) == (THING, str(thing.pk))
    assert set(read.changes) == {"from", "to"}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("colour=red", "colour"),
        ("at=yesterday", "at"),
        ("at=2026-01-01&at=2026-01-02", "at"),
        ("at=2026-01-01&limit=1", "limit"),
        ("at=2026-01-01&from=2026-01-01", "from"),
        ("from=2026-01-01", "to"),
        ("to=2026-01-01", "from"),
        ("from=2026-01-02&to=2026-01-01", "to"),
        ("order=up", "order"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
    ],
)
def test_wrong_parameters_are_refused_by_name(
    client: Client, lived: tuple[Thing, list[datetime]], query: str, named: str
) -> None:
    log_in(client, "view_event")

    answer = client.get(f"{address(THING, lived[0].pk)}?{query}")

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [named]


def test_what_may_not_be_seen_is_answered_like_what_isnt_there(
    client: Client, lived: tuple[Thing, list[datetime]]
) -> None:
    log_in(client, "view_events_of_everything_tag")
    urls = [address(THING, lived[0].pk), address(THING, 0), address(TAG, 0), address("no.such", 1)]

    # Twice: asking for what isn't there doesn't make it known.
    answers = [client.get(url) for url in urls * 2]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert client.get(address(TAG, Tag.objects.create(name="red").pk)).status_code == 200


def test_personal_and_masked_values_are_hidden_in_states_and_differences(client: Client, db: None) -> None:
    start = clock()
    bob = User.objects.create_user("bob", email="bob@example.org", password="right-horse-9")
    log_in(client, "view_event")
    url = address("accounts.user", bob.pk)

    plain = client.get(url, {"at": clock().isoformat()}).json()
    changes = client.get(url, {"from": start.isoformat(), "to": clock().isoformat()}).json()["changes"]

    assert plain["state"]["email"] == {"hidden": "personal"}
    assert plain["state"]["password"] == {"hidden": "masked"}
    assert plain["state"]["username"] == "bob"
    assert plain["unknown"] == ["last_login"]
    assert changes["email"] == [None, {"hidden": "personal"}]
    assert client.get(url).json()["results"][0]["changes"]["email"] == [None, {"hidden": "personal"}]


def test_an_object_whose_key_ends_like_the_address_of_its_restoring_is_found(client: Client, db: None) -> None:
    TextKeyed.objects.create(code="a/restore", name="a")
    log_in(client, "view_event")

    answer = client.get("/api/audit/objects/everything.textkeyed/a/restore/", {"at": clock().isoformat()})

    assert answer.json()["state"] == {"code": "a/restore", "name": "a"}


def test_an_event_about_something_without_an_address_leads_nowhere(client: Client, db: None) -> None:
    log_in(client, "view_event")
    ids = [audit.record("everything.odd", target=target) for target in (None, ("a/b", "1"), ("a.b", "1/2\n#"))]

    links = [client.get(f"/api/audit/events/{one}/").json()["links"]["object"] for one in ids]

    assert links[:2] == [None, None]
    assert client.get(links[2]).json()["results"][0]["id"] == ids[2]


def test_children_and_parts_have_a_history_of_their_own(db: None) -> None:
    thing = Thing.objects.create(name="a")
    Part.objects.create(thing=thing, name="p")
    at = clock()
    thing.delete()

    assert not Part.objects.exists()
    assert audit.as_of(Part, at).count() == 1
