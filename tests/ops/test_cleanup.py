"""`manage cleanup`: what goes, what stays, and that a dry run changes nothing."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from celery.schedules import crontab
from django.conf import settings as project_settings
from django.contrib.sessions.models import Session
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.utils import timezone
from psycopg import sql

from accounts.models import User
from audit.exports import files
from audit.models import Event, Export
from blog.models import Image, Post
from config.redis_urls import TELEMETRY
from ops import tasks as ops_tasks
from ops.cleanup import actions, kinds
from tasks.models import TaskAttempt, TaskRun
from telemetry.tracing import provider
from telemetry.tracing.store import KEPT_SECONDS, recent_spans
from tests.ops.conftest import Recorder

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str) -> tuple[int, str, str]:
    out, err, code = StringIO(), StringIO(), 0
    try:
        call_command("cleanup", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        code = int(str(end.code))
    return code, out.getvalue(), err.getvalue()


def cleaned(*arguments: str) -> dict[str, Any]:
    _, text, _ = run("--format", "json", *arguments)
    return {heap["kind"]: heap for heap in json.loads(text)["kinds"]}


def a_session(key: str, **age: float) -> Session:
    return Session.objects.create(session_key=key, session_data="x", expire_date=timezone.now() - timedelta(**age))


def a_run(outcome: str, **age: float) -> TaskRun:
    finished_at = timezone.now() - timedelta(**age)
    run = TaskRun.objects.create(id=uuid.uuid4(), name="blog.thing", outcome=outcome, finished_at=finished_at)
    TaskAttempt.objects.create(run=run, number=1, started_at=finished_at)
    return run


@pytest.fixture
def exports_folder(settings: Any, tmp_path: Path) -> Path:
    storages = {**settings.STORAGES, "audit": {**settings.STORAGES["audit"], "OPTIONS": {"location": tmp_path}}}
    settings.STORAGES = storages
    return tmp_path


@pytest.fixture
def media(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for media: an image of a post, strays that are old, and one that was written just now."""
    settings.MEDIA_ROOT = folder = tmp_path_factory.mktemp("media")
    long_ago = time.time() - 7_200
    for name in ("blog/ab/mine.png", "blog/ab/stray.png", "images/cd/stray.webp"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * 100)
        os.utime(folder / name, (long_ago, long_ago))
    (folder / "blog/ab/just-written.png").write_bytes(b"x")
    author = User.objects.create_user("arthur")
    post = Post.objects.create(author=author, title="A", slug="a", body_markdown="A.")
    Image.objects.create(post=post, file="blog/ab/mine.png", name="mine.png", width=1, height=1, checksum_sha256="x")
    return folder


@pytest.fixture
def rubbish(exports_folder: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave something of each kind."""
    a_session("expired-yesterday-" + "x" * 8, days=1)
    a_session("alive" + "x" * 8, days=-1)
    for outcome in ("succeeded", "cancelled", "dead"):
        a_run(outcome, days=31)
        a_run(outcome, days=181)
        a_run(outcome, days=1)
    owner = User.objects.create_user("audrey")
    name = files.storage().save("old.ndjson.gz", ContentFile(b"x" * 1_500))
    Export.objects.create(
        owner=owner,
        format="ndjson",
        filters={},
        state=Export.State.FINISHED,
        file_name=name,
        size_bytes=1_500,
        expires_at=timezone.now() - timedelta(hours=1),
    )
    recorder.request()
    request_id = recorder.save()
    # Not so old that the next spans to be written would push it out; and those of earlier tests are written by now.
    recent_spans()._redis.zadd("requests", {request_id: time.time() - KEPT_SECONDS / 2})
    monkeypatch.setattr("ops.rubbish.KEPT_SECONDS", KEPT_SECONDS / 3)
    provider.pipeline().force_flush()


def whole_state(superuser: Any, folder: Path, redis_client: Any) -> Any:
    """Everything that a cleanup could touch: each row of each table, each file, the spans that are kept."""
    tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    digest = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} AS t"
    rows = {
        table: superuser.execute(sql.SQL(digest).format(sql.Identifier(table))).fetchone()
        for (table,) in superuser.execute(tables).fetchall()
    }
    stored = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    spans = [b"requests", *redis_client.keys("spans:*"), *redis_client.keys("root:*")]
    return rows, stored, {key: redis_client.dump(key) for key in spans}


# --- what goes -------------------------------------------------------------------------------------------------------


def test_a_dry_run_names_what_would_go_and_changes_nothing(
    rubbish: None, superuser: Any, exports_folder: Path, servers: Any
) -> None:
    before = whole_state(superuser, exports_folder, servers.redis[TELEMETRY])
    heaps = cleaned("--dry-run")
    assert whole_state(superuser, exports_folder, servers.redis[TELEMETRY]) == before
    counts = {name: heap["count"] for name, heap in heaps.items() if heap["count"]}
    assert counts == {"dead-task-runs": 1, "ledger-exports": 1, "sessions": 1, "spans": 1, "task-runs": 4}
    assert heaps["ledger-exports"]["size_bytes"] == 1_500
    assert heaps["spans"]["size_bytes"] > 100
    assert heaps["task-runs"]["examples"][0].startswith("task run ")


def test_it_removes_what_a_dry_run_names_and_the_ledger_has_the_counts(
    rubbish: None, exports_folder: Path, recorder: Recorder
) -> None:
    announced = cleaned("--dry-run")
    assert cleaned() == announced
    assert [session.session_key[:5] for session in Session.objects.all()] == ["alive"]
    ages = [(run.outcome, (timezone.now() - run.finished_at).days) for run in TaskRun.objects.order_by("-finished_at")]
    assert sorted(ages) == [("cancelled", 1), ("dead", 1), ("dead", 31), ("succeeded", 1)]
    assert TaskAttempt.objects.count() == 4
    assert list(exports_folder.iterdir()) == []
    assert Export.objects.get().state == Export.State.EXPIRED
    assert recent_spans().spans_of(recorder.request_id) == []
    event = Event.objects.get(action="ops.rubbish.removed")
    assert event.outcome == "success"
    assert event.changes["removed"]["task-runs"] == {"count": 4, "size_bytes": 0}
    assert event.changes["removed"]["ledger-exports"] == {"count": 1, "size_bytes": 1_500}
    deleted = Event.objects.filter(action="tasks.taskrun.deleted").first()
    assert deleted is not None
    assert deleted.context["reason"].startswith("cleanup of ")
    assert all(heap["count"] == 0 for heap in cleaned().values())


@pytest.mark.parametrize("age", [(), ("--older-than", "1s")])
def test_files_that_belong_to_nothing_go_but_none_that_may_be_about_to(media: Path, age: tuple[str, ...]) -> None:
    announced = cleaned("--dry-run", *age)
    assert announced["post-files"]["examples"] == ["blog/ab/stray.png"]
    assert announced["picture-files"]["examples"] == ["images/cd/stray.webp"]
    assert (announced["post-files"]["count"], announced["post-files"]["size_bytes"]) == (1, 100)
    assert cleaned(*age) == announced
    left = sorted(path.name for path in media.rglob("*") if path.is_file())
    assert left == ["just-written.png", "mine.png"]


def test_a_file_that_is_written_anew_after_it_was_found_stays(media: Path) -> None:
    (piece,) = kinds.pieces_of(kinds.known_kinds()["picture-files"], None)
    os.utime(media / "images/cd/stray.webp")
    piece.remove()
    assert (media / "images/cd/stray.webp").exists()


def test_sessions_are_never_named_since_their_name_is_their_key(rubbish: None) -> None:
    _, text, _ = run("--dry-run")
    assert "expired-yesterday" not in text
    assert cleaned("--dry-run", "--only", "sessions")["sessions"]["examples"] == []


def test_many_rows_go_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_BATCH", 3)
    for number in range(8):
        a_session(f"old-{number}", days=1)
    steps: list[int] = []
    (heap,) = actions.clean_up(["sessions"], progress=lambda kind, count: steps.append(count))
    assert (heap.count, steps) == (8, [3, 6, 8])
    assert not Session.objects.exists()


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_only_what_is_named_goes_and_an_age_may_be_given(rubbish: None) -> None:
    assert cleaned("--only", "task-runs", "--older-than", "12h")["task-runs"]["count"] == 6
    assert TaskRun.objects.filter(outcome="dead").count() == 3
    assert Session.objects.count() == 2
    assert cleaned("--only", "sessions", "--older-than", "2d")["sessions"]["count"] == 0
    assert set(cleaned("--only", "sessions", "spans", "--dry-run")) == {"sessions", "spans"}


def test_an_unknown_kind_is_named_with_those_that_are(rubbish: None) -> None:
    with pytest.raises(CommandError, match=r"Nothing is called cookies\. There are: .*sessions"):
        run("--only", "cookies")
    assert Session.objects.count() == 2


def test_the_help_has_examples_and_tells_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("cleanup", "--help")
    text = capsys.readouterr().out
    assert "manage cleanup --dry-run" in text
    for name, kind in kinds.known_kinds().items():
        assert name in text
        assert kinds.meaning_of(kind).endswith(".")
        assert kinds.meaning_of(kind) in text


# --- what fails ------------------------------------------------------------------------------------------------------


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have one kind whose second of three things can't be removed; return what was."""
    gone: list[str] = []

    def remove(name: str) -> Callable[[], None]:
        def act() -> None:
            if name == "two":
                raise PermissionError(13, "Permission denied")
            gone.append(name)

        return act

    def pieces(age: timedelta | None) -> Iterator[tuple[str, Callable[[], None], int, int]]:
        """Stubborn things."""
        yield from ((name, remove(name), 1, 10) for name in ("one", "two", "three"))

    monkeypatch.setattr(actions, "known_kinds", lambda: {"stubborn": pieces})
    return gone


def test_what_can_not_be_removed_is_told_the_rest_goes_and_the_exit_code_is_1(stubborn: list[str]) -> None:
    code, out, err = run()
    assert (code, stubborn) == (1, ["one", "three"])
    assert "2 removed." in out
    assert "stubborn: could not be removed: two: PermissionError" in err
    event = Event.objects.get(action="ops.rubbish.removed")
    assert (event.outcome, event.changes["failed"]) == ("error", {"stubborn": ["two: PermissionError"]})


def test_where_redis_is_away_the_other_kinds_are_cleaned_all_the_same(rubbish: None, settings: Any) -> None:
    settings.TELEMETRY_REDIS_URL = "redis://127.0.0.1:1/0"
    heaps = cleaned()
    assert heaps["spans"]["failed"] == ["ConnectionError"]
    assert heaps["sessions"]["count"] == 1


# --- at night --------------------------------------------------------------------------------------------------------


def test_a_worker_does_it_each_night(rubbish: None) -> None:
    for name in ("ops.clean_up", "ops.clean_up_sessions"):
        assert isinstance(project_settings.CELERY_BEAT_SCHEDULE[name]["schedule"], crontab)
    assert ops_tasks.clean_up_sessions.run() == 1
    assert ops_tasks.clean_up.run() == 7
    assert Event.objects.filter(action="ops.rubbish.removed").count() == 2
