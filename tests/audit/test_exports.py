"""Taking the ledger away: as a stream, and as a file made in the background."""

import gc
import gzip
import hashlib
import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any
from unittest import mock

import httpx
import psycopg
import pytest
from django.contrib.auth.models import Permission
from django.core.files.storage import storages
from django.db import OperationalError, connection
from django.test import AsyncClient, Client
from django.utils import timezone

from accounts.models import User
from audit import tasks
from audit.errors import ExportDeniedError, ExportError, SearchTooLongError
from audit.exports import files, streaming
from audit.models import Event, Export
from audit.reading import queries
from tasks.schedule import BEAT_SCHEDULE
from tests.audit.everything.models import Tag, Thing
from tests.audit.readers import token_for, user_with

URL = "/api/audit/export/"
LONG = "/api/audit/exports/"
RIGHTS = ("view_event", "export_event")
TAGS = {"action": "everything.tag.created"}


def body(answer: Any) -> bytes:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content)


def lines(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body(answer).splitlines()]


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["changes"]["name"][1] for event in events]


def recorded(verb: str) -> Event:
    return Event.objects.filter(action=f"audit.ledger.{verb}").latest("id")


@pytest.fixture
def auditor(db: None) -> User:
    return user_with(*RIGHTS)


@pytest.fixture
def logged_in(auditor: User, client: Client) -> Client:
    client.force_login(auditor)
    return client


def make_tags(count: int, prefix: str = "tag") -> list[str]:
    made = [f"{prefix} {number}" for number in range(count)]
    Tag.objects.bulk_create([Tag(name=name) for name in made])
    return made


def go_away(answer: Any) -> None:
    """Close an answer as a server does whose client is gone; the test's connection stays."""
    with mock.patch.object(connection, "close_if_unusable_or_obsolete"):
        answer.close()


# --- the stream ----------------------------------------------------------------------------------------------------


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


def fail(error: Exception) -> Any:
    raise error


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


# --- files made in the background ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Any) -> Any:
    settings.STORAGES = {
        **settings.STORAGES,
        "audit": {**settings.STORAGES["audit"], "OPTIONS": {"location": tmp_path / "exports"}},
    }
    return tmp_path / "exports"


@pytest.fixture
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the ids that were handed to Celery."""
    ids: list[str] = []
    monkeypatch.setattr(tasks.run_export, "delay", ids.append)
    return ids


Asked = Callable[..., Any]


@pytest.fixture
def ask(logged_in: Client, enqueued: list[str], django_capture_on_commit_callbacks: Any) -> Asked:
    """Return a function that asks for an export in the background."""

    def post(form: str = "ndjson", filters: dict[str, Any] | None = None, **more: Any) -> Any:
        asked = {"format": form, "filters": TAGS if filters is None else filters, **more}
        with django_capture_on_commit_callbacks(execute=True):
            return logged_in.post(LONG, asked, "application/json")

    return post


def stored_in(folder: Any) -> list[str]:
    return sorted(path.name for path in folder.glob("*")) if folder.exists() else []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["ndjson", "csv", "ocsf", "cloudevents", "ecs"])
def test_a_file_holds_what_the_stream_does(
    ask: Asked, logged_in: Client, enqueued: list[str], folder: Any, name: str
) -> None:
    make_tags(600)

    asked = ask(name)
    make_tags(5, "after it was asked for")
    shown = asked.json()
    assert (asked.status_code, asked["Location"], enqueued) == (202, shown["url"], [shown["id"]])
    assert (shown["state"], shown["event_count"], shown["estimated_count"]) == ("waiting", 0, 600)
    assert (shown["file"], shown["expires_at"]) == (None, None)
    assert logged_in.get(f"{shown['url']}file/").status_code == 409

    tasks.run_export(enqueued[0])
    shown = logged_in.get(shown["url"]).json()
    answer = logged_in.get(shown["file"])
    packed = body(answer)

    assert (shown["state"], shown["event_count"], shown["error"]) == ("finished", 600, "")
    assert (shown["size_bytes"], shown["sha256"]) == (len(packed), hashlib.sha256(packed).hexdigest())
    assert gzip.decompress(packed) == body(
        logged_in.get(URL, {**TAGS, "format": name, "cursor": Export.objects.get().cursor})
    )
    assert stored_in(folder) == [Export.objects.get().file_name]
    assert answer["Content-Type"] == "application/gzip"
    assert answer["Content-Disposition"].endswith('.gz"')
    assert (answer["X-Content-Type-Options"], answer["Cache-Control"]) == ("nosniff", "no-store")
    assert answer["Content-Length"] == str(len(packed))


def test_the_ledger_tells_the_life_of_an_export(ask: Asked, logged_in: Client, enqueued: list[str]) -> None:
    make_tags(3)
    export_id = ask("csv").json()["id"]
    tasks.run_export(export_id)
    body(logged_in.get(f"{LONG}{export_id}/file/"))
    Export.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    tasks.expire_exports()

    told = Event.objects.filter(object_type="audit.export", object_id=export_id).order_by("id")

    assert [event.action.removeprefix("audit.ledger.") for event in told] == [
        *("export_requested", "export_started", "exported", "export_downloaded", "export_expired")
    ]
    assert {event.outcome for event in told} == {"success"}
    assert told[0].changes == {"filters": TAGS, "format": "csv"}
    assert (told[2].changes["count"], told[2].changes["complete"]) == (3, True)
    assert told[3].changes == {"sha256": told[2].changes["sha256"]}


def test_ones_exports_are_ones_own(ask: Asked, client: Client, enqueued: list[str]) -> None:
    export_id = ask().json()["id"]
    tasks.run_export(export_id)
    assert [one["id"] for one in client.get(LONG).json()["results"]] == [export_id]

    client.force_login(user_with(*RIGHTS, name="another"))

    assert client.get(LONG).json() == {"results": []}
    assert client.get(f"{LONG}{export_id}/").status_code == 404
    assert client.get(f"{LONG}{export_id}/file/").status_code == 404


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({}, "format"),
        ({"format": "xml"}, "format"),
        ({"format": 7}, "format"),
        ({"format": "csv", "filters": ["a"]}, "filters"),
        ({"format": "csv", "filters": {"action": ["a"]}}, "action"),
        ({"format": "csv", "filters": {"colour": "red"}}, "colour"),
        ({"format": "csv", "cursor": "x"}, "cursor"),
        ([1], "format"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(logged_in: Client, asked: Any, problem: str) -> None:
    answer = logged_in.post(LONG, asked, "application/json")

    assert (answer.status_code, list(answer.json()["errors"])) == (400, [problem])
    assert not Export.objects.exists()


def test_nobody_has_more_than_five_unfinished_exports(ask: Asked, enqueued: list[str]) -> None:
    assert [ask().status_code for _ in range(6)] == [*[202] * 5, 409]
    assert "unfinished" in ask().json()["detail"]
    tasks.run_export(enqueued[0])
    assert ask().status_code == 202


def test_an_export_whose_owner_lost_the_right_fails_and_tells_why(
    ask: Asked, auditor: User, logged_in: Client, enqueued: list[str], folder: Any
) -> None:
    shown = ask().json()
    auditor.user_permissions.remove(Permission.objects.get(codename="export_event", content_type__app_label="audit"))

    with pytest.raises(ExportDeniedError):
        tasks.run_export(enqueued[0])

    export = Export.objects.get(pk=shown["id"])
    assert (export.state, export.file_name, stored_in(folder)) == ("failed", "", [])
    assert "may not export" in export.error
    assert (recorded("exported").outcome, recorded("exported").object_id) == ("denied", shown["id"])
    assert logged_in.get(f"{shown['url']}file/").status_code == 403
    tasks.run_export(enqueued[0])  # a message that came twice
    assert Export.objects.get().state == "failed"


def test_a_file_shows_what_its_owner_may_see_when_it_is_made(
    client: Client, enqueued: list[str], django_capture_on_commit_callbacks: Any, db: None
) -> None:
    owner = user_with(*RIGHTS, "view_personal")
    User.objects.create_user("bob", email="bob@example.org")
    client.force_login(owner)
    filters = {"action": "accounts.user.created"}
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(2):
            client.post(LONG, {"format": "ndjson", "filters": filters}, "application/json")
    tasks.run_export(enqueued[0])
    assert b"bob@example.org" in gzip.decompress(body(client.get(f"{LONG}{enqueued[0]}/file/")))

    owner.user_permissions.remove(Permission.objects.get(codename="view_personal"))
    tasks.run_export(enqueued[1])

    assert b"bob@example.org" not in gzip.decompress(body(client.get(f"{LONG}{enqueued[1]}/file/")))
    # Nor is what the first one shows given out any more.
    assert client.get(f"{LONG}{enqueued[0]}/file/").status_code == 403
    assert recorded("export_denied").object_id == enqueued[0]


def test_a_narrow_token_gets_no_wide_file_and_a_wide_one_a_narrow_file(
    client: Client, auditor: User, enqueued: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    Thing.objects.create(name="unseen")
    make_tags(1)
    narrow = token_for(auditor, "audit:read:everything.tag", "audit:export")
    wide = token_for(auditor, "audit:read", "audit:export")
    with django_capture_on_commit_callbacks(execute=True):
        for headers in (narrow, wide):
            client.post(LONG, {"format": "ndjson"}, "application/json", headers=headers)
    for export_id in enqueued:
        tasks.run_export(export_id)

    of_narrow = gzip.decompress(body(client.get(f"{LONG}{enqueued[0]}/file/", headers=wide)))

    assert {json.loads(line)["object_type"] for line in of_narrow.splitlines()} == {"everything.tag"}
    assert client.get(f"{LONG}{enqueued[1]}/file/", headers=narrow).status_code == 403
    assert client.get(f"{LONG}{enqueued[1]}/file/", headers=token_for(auditor, "audit:read")).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_lost_leaves_neither_half_a_file_nor_a_doubled_one(
    ask: Asked, logged_in: Client, enqueued: list[str], folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_tags(600)
    shown = ask().json()
    for place in ("audit.reading.queries.page", "audit.exports.files._finish"):
        with monkeypatch.context() as patched:
            patched.setattr(place, lambda *a, **k: (_ for _ in ()).throw(SystemExit))
            with pytest.raises(SystemExit):
                tasks.run_export(enqueued[0])
        assert logged_in.get(shown["url"]).json()["state"] == "running"
        make_tags(1, "later")

    tasks.run_export(enqueued[0])

    found = gzip.decompress(body(logged_in.get(f"{shown['url']}file/")))
    assert names([json.loads(line) for line in found.splitlines()]) == made
    assert stored_in(folder) == [Export.objects.get().file_name]


def test_an_attempt_that_another_one_overtook_stops_and_leaves_nothing(
    ask: Asked, logged_in: Client, enqueued: list[str], folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_tags(600)
    shown = ask().json()
    read = streaming.read

    def overtaken(*arguments: Any, **options: Any) -> Iterator[Any]:
        chunks = read(*arguments, **options)
        yield next(chunks)
        monkeypatch.setattr(streaming, "read", read)
        tasks.run_export(enqueued[0])
        yield from chunks

    monkeypatch.setattr(streaming, "read", overtaken)
    tasks.run_export(enqueued[0])

    found = gzip.decompress(body(logged_in.get(f"{shown['url']}file/")))
    assert names([json.loads(line) for line in found.splitlines()]) == made
    assert stored_in(folder) == [Export.objects.get().file_name]
    assert Event.objects.filter(action="audit.ledger.exported", object_id=shown["id"]).count() == 1


def test_progress_shows_while_a_file_is_written(
    ask: Asked, logged_in: Client, enqueued: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tags(900)
    shown = ask().json()
    monkeypatch.setattr(files, "_SAVED_EVERY", 100)
    seen: list[int] = []
    note = files._note
    monkeypatch.setattr(
        files,
        "_note",
        lambda *a, **k: (note(*a, **k), seen.append(logged_in.get(shown["url"]).json()["event_count"])),
    )
    tasks.run_export(enqueued[0])

    assert seen == sorted(seen)
    assert len(set(seen)) > 3


def test_an_export_of_too_many_events_fails_and_says_how_to_have_them(
    ask: Asked, logged_in: Client, enqueued: list[str], folder: Any, settings: Any
) -> None:
    settings.AUDIT_EXPORT_MAX_EVENTS = 3
    make_tags(4)
    shown = ask().json()

    with pytest.raises(ExportError):
        tasks.run_export(enqueued[0])

    assert "more than 3 events" in logged_in.get(shown["url"]).json()["error"]
    answer = logged_in.get(f"{shown['url']}file/")
    assert (answer.status_code, "more than 3 events" in answer.json()["detail"]) == (410, True)
    assert stored_in(folder) == []


def test_a_failure_is_recorded_without_what_the_database_said(
    ask: Asked, enqueued: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = ask().json()
    monkeypatch.setattr(queries, "page", lambda *a, **k: fail(OperationalError("DETAIL: secret")))

    with pytest.raises(OperationalError):
        tasks.run_export(enqueued[0])

    ended = recorded("exported")
    assert (ended.outcome, ended.object_id, ended.changes["complete"]) == ("error", shown["id"], False)
    assert "OperationalError" in ended.changes["error"]
    assert "secret" not in str(ended.changes)
    assert Export.objects.get().state == "failed"


def test_files_expire_and_are_gone(ask: Asked, logged_in: Client, enqueued: list[str], folder: Any) -> None:
    shown = ask().json()
    tasks.run_export(enqueued[0])
    assert tasks.expire_exports() == 0
    expires_at = Export.objects.get().expires_at
    assert expires_at is not None
    assert timedelta(hours=23) < expires_at - timezone.now() <= timedelta(hours=24)
    assert len(stored_in(folder)) == 1

    Export.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert tasks.expire_exports() == 1
    assert tasks.expire_exports() == 0
    assert stored_in(folder) == []
    assert logged_in.get(shown["url"]).json()["state"] == "expired"
    answer = logged_in.get(f"{shown['url']}file/")
    assert (answer.status_code, "expired" in answer.json()["detail"]) == (410, True)


def test_what_nobody_finishes_is_given_up(ask: Asked, enqueued: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ask()
    ask()
    with monkeypatch.context() as patched:
        patched.setattr("audit.reading.queries.page", lambda *a, **k: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            tasks.run_export(enqueued[0])
    Export.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert tasks.expire_exports() == 2
    assert set(Export.objects.values_list("state", flat=True)) == {"failed"}
    failed = Event.objects.filter(action="audit.ledger.exported", outcome="error", object_id__in=enqueued)
    assert failed.count() == 2
    tasks.run_export(enqueued[1])
    assert set(Export.objects.values_list("state", flat=True)) == {"failed"}


def test_a_file_that_cant_be_deleted_keeps_no_other_from_it(
    ask: Asked, enqueued: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        ask()
    for export_id in enqueued:
        tasks.run_export(export_id)
    Export.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    stuck = Export.objects.latest("created_at").file_name
    delete = storages["audit"].delete
    monkeypatch.setattr(
        storages["audit"], "delete", lambda name: fail(PermissionError(name)) if name == stuck else delete(name)
    )

    assert tasks.expire_exports() == 1
    assert sorted(Export.objects.values_list("state", flat=True)) == ["expired", "finished"]


def test_a_project_without_a_place_for_files_is_told_so(ask: Asked, settings: Any) -> None:
    settings.STORAGES = {name: one for name, one in settings.STORAGES.items() if name != "audit"}

    answer = ask()

    assert answer.status_code == 503
    assert 'STORAGES["audit"]' in answer.json()["detail"]
    assert not Export.objects.exists()


def test_beat_expires_exports() -> None:
    assert BEAT_SCHEDULE["audit.expire_exports"]["task"] == tasks.expire_exports.name


def test_a_worker_makes_the_file_in_the_name_of_who_asked(live_platform: Any, wait_until: Any) -> None:
    auditor = user_with(*RIGHTS)
    made = make_tags(30)
    with httpx.Client(
        base_url=live_platform.web_url, headers=token_for(auditor, "audit:read", "audit:export"), timeout=20
    ) as browser:
        asked = browser.post(LONG, json={"format": "ndjson", "filters": TAGS})
        assert asked.status_code == 202, asked.text
        url = asked.json()["url"]
        shown = wait_until(lambda: (found := browser.get(url).json())["state"] == "finished" and found, timeout=30)
        packed = browser.get(shown["file"]).content
        streamed = browser.get(URL, params=TAGS)

    assert hashlib.sha256(packed).hexdigest() == shown["sha256"]
    assert names([json.loads(line) for line in gzip.decompress(packed).splitlines()]) == made
    assert [json.loads(line)["id"] for line in streamed.text.splitlines()] == [
        json.loads(line)["id"] for line in gzip.decompress(packed).splitlines()
    ]
    ended = Event.objects.get(action="audit.ledger.exported", object_id=shown["id"])
    assert (ended.origin, ended.operation) == ("task", "audit.run_export")
    assert (ended.actor_type, ended.actor_id) == ("user", str(auditor.pk))
    assert ended.request_id == asked.headers["X-Request-ID"]
