"""Exports as files that are made in the background, and expire."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.files.storage import storages
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from accounts.models import User
from audit import tasks
from audit.errors import ExportDeniedError, ExportError
from audit.exports import files, streaming
from audit.models import Event, Export
from audit.reading import queries
from tasks.schedule import BEAT_SCHEDULE
from tests.audit.everything.models import Thing
from tests.audit.exported import LONG, RIGHTS, TAGS, URL, body, fail, make_tags, names, recorded
from tests.audit.readers import token_for, user_with


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
