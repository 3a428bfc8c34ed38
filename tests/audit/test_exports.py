"""Exports as a stream: whole, bounded in memory, by right alone, and recorded."""

import gc
import json
import tracemalloc
from itertools import islice
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test import AsyncClient, Client

from accounts.models import User
from audit.errors import SearchTooLongError
from audit.models import Event
from audit.reading import queries
from tests.audit.everything.models import Thing
from tests.audit.exported import (
    LONG,
    RIGHTS,
    TAGS,
    URL,
    body,
    fail,
    go_away,
    lines,
    make_tags,
    names,
    recorded,
)
from tests.audit.readers import token_for, user_with


def test_an_export_has_every_event_of_a_search_once_and_as_the_api_gives_it(logged_in: Client) -> None:
    made = make_tags(700)

    found = lines(logged_in.get(URL, TAGS))
    newest = lines(logged_in.get(URL, {**TAGS, "order": "newest", "format": "ndjson"}))

    assert names(found) == made
    assert newest == found[::-1]
    assert (
        found[:500]
        == logged_in.get("/api/audit/events/", {**TAGS, "order": "oldest", "limit": "500"}).json()["results"]
    )


@pytest.mark.parametrize(
    ("name", "content_type", "suffix"),
    [
        ("ndjson", "application/x-ndjson", ".ndjson"),
        ("csv", "text/csv; charset=utf-8", ".csv"),
        ("ocsf", "application/x-ndjson", ".ocsf.ndjson"),
        ("cloudevents", "application/x-ndjson", ".cloudevents.ndjson"),
        ("ecs", "application/x-ndjson", ".ecs.ndjson"),
    ],
)
def test_each_format_is_saved_under_a_name_and_never_kept_or_guessed_at(
    logged_in: Client, name: str, content_type: str, suffix: str
) -> None:
    make_tags(3)

    answer = logged_in.get(URL, {**TAGS, "format": name})

    assert len(body(answer).splitlines()) == (4 if name == "csv" else 3)
    assert answer["Content-Type"] == content_type
    assert answer["Content-Disposition"].startswith('attachment; filename="audit-20')
    assert answer["Content-Disposition"].endswith(f'{suffix}"')
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Audit-Cursor"]


def test_an_export_of_nothing_is_empty_but_for_the_header_of_csv(logged_in: Client) -> None:
    assert body(logged_in.get(URL, {"request": "none-such"})) == b""
    assert body(logged_in.get(URL, {"request": "none-such", "format": "csv"})).startswith(b'"id","recorded_at"')
    assert recorded("exported").changes["count"] == 0


@pytest.mark.django_db(transaction=True)
def test_what_is_left_of_a_broken_export_is_had_exactly_while_writers_commit_late(
    client: Client, owner_connection: psycopg.Connection
) -> None:
    client.force_login(user_with(*RIGHTS))
    made = make_tags(300, "before")
    late = psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None, "context": None})
    late.execute("INSERT INTO everything_tag (name) VALUES ('late')")
    made += make_tags(300, "between")
    for name in ("ndjson", "csv"):
        broken = client.get(URL, {**TAGS, "format": name})
        if name == "ndjson":
            late.commit()  # an event whose place is among those that are exported
            late.close()
        whole = b"".join(islice(broken.streaming_content, 2 if name == "ndjson" else 3)).splitlines()[:-1]
        go_away(broken)
        make_tags(5, "after")
        last = json.loads(whole[-1])["id"] if name == "ndjson" else int(whole[-1].partition(b",")[0])

        again = client.get(URL, {**TAGS, "format": name, "cursor": broken["X-Audit-Cursor"], "after": str(last)})
        rest = body(again).splitlines()

        assert again["X-Audit-Cursor"] == broken["X-Audit-Cursor"]
        if name == "ndjson":
            assert names([json.loads(line) for line in whole + rest]) == made
            assert recorded("export_started").changes["filters"] == TAGS
            made = sorted([*made, "late", *(f"after {number}" for number in range(5))])
        else:
            assert (
                sorted(line.split(b'"name"":[null,""')[1].split(b'"')[0].decode() for line in (whole + rest)[1:])
                == made
            )


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"format": "xml"}, "format"),
        ({"order": "up"}, "order"),
        ({"cursor": "x"}, "cursor"),
        ({"colour": "red"}, "colour"),
        ({"after": "1"}, "after"),
        ({"limit": "1"}, "limit"),
        ({"outcome": "perhaps"}, "outcome"),
        ({"changes.email.to": "una@example.org"}, "changes.email.to"),
    ],
)
def test_what_is_wrong_is_named_before_the_first_byte(logged_in: Client, asked: dict[str, str], problem: str) -> None:
    answer = logged_in.get(URL, asked)

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert list(answer.json()["errors"]) == [problem]
    assert not Event.objects.filter(action="audit.ledger.export_started").exists()


@pytest.mark.parametrize("after", ["x", "-1", "9" * 30, "9" * 5_000, "unseen"])
def test_an_export_goes_on_only_from_an_event_of_its_own(logged_in: Client, after: str) -> None:
    make_tags(2)
    cursor = logged_in.get(URL, TAGS)["X-Audit-Cursor"]
    if after == "unseen":
        after = str(Event.objects.exclude(**TAGS).latest("id").pk)

    answer = logged_in.get(URL, {**TAGS, "cursor": cursor, "after": after})

    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["after"])


def test_an_export_needs_the_memory_of_one_page_alone(logged_in: Client) -> None:
    make_tags(20_000)
    gc.collect()
    before = rows_alive()
    answer = logged_in.get(URL, TAGS)
    count, most_rows = 0, 0
    tracemalloc.start()
    try:
        for number, chunk in enumerate(answer.streaming_content):
            count += chunk.count(b"\n")
            if number % 20 == 0:
                most_rows = max(most_rows, rows_alive() - before)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 20_000
    assert 200 <= most_rows <= 2_001
    assert peak < 16_000_000


def rows_alive() -> int:
    return sum(type(one) is Event for one in gc.get_objects())


def test_long_events_come_in_small_pages(logged_in: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    Thing.objects.bulk_create([Thing(name=f"thing {number}", note="x" * 100_000) for number in range(500)])
    limits: list[int] = []
    page = queries.page
    monkeypatch.setattr(queries, "page", lambda *a, limit, **k: limits.append(limit) or page(*a, limit=limit, **k))

    count = sum(chunk.count(b"\n") for chunk in logged_in.get(URL, {"action": "everything.thing.created"}))

    assert count == 500
    assert limits[0] == 200
    assert set(limits[1:]) <= set(range(20, 41))


# --- who may, and what the ledger is told --------------------------------------------------------------------------


@pytest.mark.parametrize("permissions", [(), ("view_event",), ("export_event",)])
@pytest.mark.django_db
def test_an_export_needs_the_permission_to_read_and_the_one_to_export(
    client: Client, permissions: tuple[str, ...]
) -> None:
    assert client.get(URL).status_code in (401, 403)
    client.force_login(user_with(*permissions))

    for answer in (client.get(URL), client.get(LONG), client.post(LONG, {"format": "csv"}, "application/json")):
        assert answer.status_code == 403
        assert ("audit.export_event" in answer.json()["detail"]) == ("view_event" in permissions)
    denied = recorded("export_denied" if "view_event" in permissions else "read_denied")
    assert (denied.outcome, denied.actor_label) == ("denied", "auditor")


@pytest.mark.parametrize(
    ("scopes", "status"),
    [
        (("audit:read",), 403),
        (("audit:export",), 403),
        (("audit:read", "audit:export"), 200),
        (("audit:read:everything.tag", "audit:export"), 200),
    ],
)
def test_a_token_needs_both_scopes(client: Client, auditor: User, scopes: tuple[str, ...], status: int) -> None:
    Thing.objects.create(name="unseen")
    make_tags(1)

    answer = client.get(URL, {"object_type": "everything.tag,everything.thing"}, headers=token_for(auditor, *scopes))

    assert answer.status_code == status
    if status == 200:
        types = {event["object_type"] for event in lines(answer)}
        assert ("everything.thing" in types) == ("audit:read" in scopes)


def test_a_permission_for_one_type_exports_that_type_alone(client: Client, db: None) -> None:
    client.force_login(user_with("view_events_of_everything_tag", "export_event"))
    Thing.objects.create(name="unseen")
    make_tags(2)

    assert {event["object_type"] for event in lines(client.get(URL))} == {"everything.tag"}


@pytest.mark.parametrize("name", ["ndjson", "csv", "ocsf", "cloudevents", "ecs"])
def test_personal_values_are_in_an_export_only_for_those_who_may_see_them(client: Client, name: str, db: None) -> None:
    User.objects.create_user("bob", email="bob@example.org")
    asked = {"action": "accounts.user.created", "format": name}
    for permissions, is_shown in ((RIGHTS, False), ((*RIGHTS, "view_personal"), True)):
        client.force_login(user_with(*permissions, name=f"reader {is_shown}"))
        assert (b"bob@example.org" in body(client.get(URL, asked))) == is_shown


def test_beginning_and_end_are_recorded_in_the_requests_name(logged_in: Client) -> None:
    made = make_tags(250)

    answer = logged_in.get(URL, {**TAGS, "format": "csv"}, headers={"X-Audit-Reason": "yearly audit"})
    started = recorded("export_started")
    assert not Event.objects.filter(action="audit.ledger.exported", request_id=answer["X-Request-ID"]).exists()
    body(answer)
    ended = recorded("exported")

    assert started.changes == {"filters": TAGS, "format": "csv"}
    assert ended.changes == {"filters": TAGS, "format": "csv", "count": len(made), "complete": True}
    for one in (started, ended):
        assert (one.outcome, one.actor_label, one.origin) == ("success", "auditor", "http")
        assert one.request_id == answer["X-Request-ID"]
        assert one.context["reason"] == "yearly audit"


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_a_client_that_goes_away_is_recorded_with_what_it_got(logged_in: Client, chunks: int) -> None:
    make_tags(900)
    answer = logged_in.get(URL, TAGS)

    got = b"".join(islice(answer.streaming_content, chunks)).count(b"\n")
    go_away(answer)
    go_away(answer)

    ended = Event.objects.get(action="audit.ledger.exported", request_id=answer["X-Request-ID"])
    assert (ended.outcome, ended.actor_label) == ("error", "auditor")
    assert ended.changes["count"] == got < 900
    assert ended.changes["complete"] is False


def test_a_failure_on_the_way_breaks_the_export_off_and_is_recorded(
    logged_in: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tags(900)
    answer = logged_in.get(URL, TAGS)
    monkeypatch.setattr(queries, "page", lambda *a, **k: fail(SearchTooLongError()))
    got = 0

    with pytest.raises(SearchTooLongError):
        for chunk in answer.streaming_content:
            got += chunk.count(b"\n")

    ended = Event.objects.get(action="audit.ledger.exported", request_id=answer["X-Request-ID"])
    assert (ended.outcome, ended.changes["count"], ended.changes["complete"]) == ("error", got, False)
    assert "longer than a search may" in ended.changes["error"]


@pytest.mark.parametrize(
    ("place", "error", "status"),
    [
        ("audit.reading.queries.page", SearchTooLongError(), 400),
        ("audit.reading.queries.page", OperationalError("gone"), 503),
        ("audit.exports.streaming.record", OperationalError("gone"), 503),
    ],
)
def test_what_can_neither_be_read_nor_recorded_is_refused_before_the_first_byte(
    logged_in: Client, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception, status: int
) -> None:
    monkeypatch.setattr(place, lambda *a, **k: fail(error))

    answer = logged_in.get(URL, TAGS)

    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    if status == 400:
        assert "in the background" in answer.json()["errors"]["since"][0]


def test_exports_are_throttled_apart_from_reads(logged_in: Client, settings: Any) -> None:
    settings.AUDIT_EXPORT_RATE = "2/hour"

    assert [logged_in.get(URL, TAGS).status_code for _ in range(3)] == [200, 200, 429]
    assert logged_in.post(LONG, {"format": "csv"}, "application/json").status_code == 429
    assert logged_in.get(LONG).status_code == 200
    assert logged_in.get("/api/audit/events/").status_code == 200
    throttled = Event.objects.get(action="audit.ledger.throttled", changes__rate="2/hour")
    assert throttled.outcome == "denied"


def test_nothing_is_exported_by_a_head_request(logged_in: Client) -> None:
    assert logged_in.head(URL).status_code == 405


@pytest.mark.django_db(transaction=True)
async def test_asgi_streams_as_well() -> None:
    from asgiref.sync import sync_to_async

    client = AsyncClient()
    await client.aforce_login(await sync_to_async(user_with)(*RIGHTS))
    made = await sync_to_async(make_tags)(900)
    answer: Any = await client.get(URL, TAGS)
    assert answer.is_async
    chunks = [chunk async for chunk in answer.streaming_content]
    assert len(chunks) > 2
    assert names([json.loads(line) for line in b"".join(chunks).splitlines()]) == made
    ended = await Event.objects.aget(action="audit.ledger.exported")
    assert (ended.outcome, ended.actor_label) == ("success", "auditor")
