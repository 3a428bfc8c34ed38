"""`manage export_data`: what goes out, what never does, in which forms, and how it fails."""

import csv
import json
import subprocess
import sys
import tracemalloc
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from accounts.actions import create_token
from accounts.models import User
from audit.models import Event
from blog.models import Comment, Post
from chat.models import Message, Room
from ops.exporting import run as exporting
from ops.exporting.selections import Wish, exportable_models, select
from telemetry.redaction import is_secret_name

pytestmark = pytest.mark.django_db(transaction=True)

MANAGE = Path(__file__).parents[2] / "platform" / "manage.py"


@pytest.fixture
def author() -> User:
    return User.objects.create_user("arthur", "arthur@example.com", "right-horse-9", first_name="Arthur")


def a_post(author: User, title: str, **fields: Any) -> Post:
    slug = f"post-{Post.objects.count()}"
    return Post.objects.create(author=author, title=title, slug=slug, body_markdown="Text.", **fields)


def at(day: int) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("export_data", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def refused(*arguments: str) -> str:
    with pytest.raises(CommandError) as refusal:
        run(*arguments)
    assert refusal.value.returncode == 2
    return str(refusal.value)


# --- forms -----------------------------------------------------------------------------------------------------------


def test_json_is_one_object_with_a_list_for_each_model(author: User) -> None:
    post = a_post(author, "Über “alles”", published_at=at(2), status="published", created_at=at(1))
    post.coauthors.add(author)
    Comment.objects.create(post=post, author=author, body_markdown="Yes.", body_html="<p>Yes.</p>")
    told = json.loads(run("--model", "blog.post", "blog.comment", "chat.room"))
    assert list(told) == ["blog.post", "blog.comment", "chat.room"]
    (row,) = told["blog.post"]
    assert (row["id"], row["title"], row["author_id"], row["coauthors"]) == (
        post.pk,
        "Über “alles”",
        author.pk,
        [author.pk],
    )
    assert row["published_at"] == "2026-03-02T00:00:00+00:00"
    assert told["blog.comment"][0]["post_id"] == post.pk
    assert told["chat.room"] == [row for row in told["chat.room"] if "last_sequence" not in row]


def test_ndjson_is_a_line_for_each_row_with_its_model(author: User) -> None:
    for title in ("One", "Two\nlines"):
        a_post(author, title)
    lines = [json.loads(line) for line in run("--model", "blog.post", "--format", "ndjson").splitlines()]
    assert [(line["model"], line["title"]) for line in lines] == [("blog.post", "One"), ("blog.post", "Two\nlines")]


def test_no_exported_model_has_a_field_that_the_line_says_itself() -> None:
    for label in exportable_models():
        assert "model" not in select(Wish(label)).fields


def test_csv_has_a_header_and_no_cell_that_a_spreadsheet_would_run(author: User) -> None:
    a_post(author, '=HYPERLINK("http://evil")')
    a_post(author, 'a, "quoted"\nline')
    text = run("--model", "blog.post", "--format", "csv", "--fields", "title,id,published_at,coauthors")
    header, first, second = csv.reader(StringIO(text, newline=""))
    assert header == ["title", "id", "published_at", "coauthors"]
    assert first[0] == '\'=HYPERLINK("http://evil")'
    assert second[0] == 'a, "quoted"\nline'
    assert first[2:] == ["", "[]"]


def test_control_characters_steer_no_terminal(author: User) -> None:
    a_post(author, "a\x1b[2Jb\u202ec")
    for form in ("json", "ndjson", "csv"):
        text = run("--model", "blog.post", "--format", form)
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_an_empty_table_is_an_empty_export() -> None:
    assert json.loads(run("--model", "blog.post")) == {"blog.post": []}
    assert run("--model", "blog.post", "--format", "ndjson") == ""
    assert run("--model", "blog.post", "--format", "csv", "--fields", "id") == '"id"\r\n'


# --- which rows ------------------------------------------------------------------------------------------------------


def test_dates_and_status_choose_rows(author: User) -> None:
    for day in (1, 2, 3):
        a_post(author, f"Day {day}", created_at=at(day), status="published", published_at=at(day + 10))
    a_post(author, "Draft", created_at=at(2))

    def titles(*arguments: str) -> list[str]:
        return [row["title"] for row in json.loads(run("--model", "blog.post", *arguments))["blog.post"]]

    assert titles("--since", "2026-03-02") == ["Day 2", "Day 3", "Draft"]
    assert titles("--since", "2026-03-02T00:00:00Z", "--until", "2026-03-03") == ["Day 2", "Draft"]
    assert titles("--status", "draft") == ["Draft"]
    assert titles("--status", "draft", "published", "--until", "2026-03-02") == ["Day 1"]
    assert titles("--until", "2026-03-12", "--date-field", "published_at") == ["Day 1"]


def test_several_models_are_as_they_were_at_one_moment(
    author: User, superuser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_post(author, "First")
    rows = exporting.Export._rows

    def then_something_happens(export: Any, selection: Any, total: Any, progress: Any) -> Any:
        yield from rows(export, selection, total, progress)
        if selection.label == "blog.post":
            insert = "INSERT INTO chat_room (slug, name, topic, last_sequence) VALUES ('late', 'Late', '', 0)"
            superuser.execute(insert)

    monkeypatch.setattr(exporting.Export, "_rows", then_something_happens)
    told = json.loads(run("--model", "blog.post", "chat.room"))
    assert "late" not in [room["slug"] for room in told["chat.room"]]
    assert Room.objects.filter(slug="late").exists()


# --- what never goes out ---------------------------------------------------------------------------------------------


def test_a_users_password_never_goes_out_and_personal_fields_when_asked(author: User) -> None:
    (row,) = json.loads(run("--model", "accounts.user"))["accounts.user"]
    assert row["username"] == "arthur"
    assert row.keys().isdisjoint({"password", "email", "first_name", "last_name", "last_login"})
    (row,) = json.loads(run("--model", "accounts.user", "--personal"))["accounts.user"]
    assert row["email"] == "arthur@example.com"
    assert "password" not in row
    assert "isn't exported: it's secret" in refused(
        "--model", "accounts.user", "--fields", "username,password", "--personal"
    )
    assert "--personal alone" in refused("--model", "accounts.user", "--fields", "email")


@pytest.mark.parametrize("label", ["sessions.session", "accounts.apitoken", "auth.permission", "audit.event"])
def test_models_that_hold_secrets_or_are_not_kept_in_the_ledger_are_refused(label: str, author: User) -> None:
    create_token(author, actor=None, scopes=["blog:read"])
    assert f"{label} isn't exported" in refused("--model", label)


def test_no_exported_field_of_any_model_is_called_like_a_secret() -> None:
    labels = exportable_models()
    assert len(labels) > 8
    for label in labels:
        selection = select(Wish(label, with_personal=True))
        assert [name for name in selection.fields if is_secret_name(name)] == []
    assert not labels.keys() & {"sessions.session", "accounts.apitoken"}


def test_every_exportable_model_can_be_exported() -> None:
    labels = list(exportable_models())
    told = json.loads(run("--model", *labels))
    assert list(told) == labels


# --- what is wrong ---------------------------------------------------------------------------------------------------


def test_what_is_wrong_is_named_with_what_there_is() -> None:
    assert "There is no model blog.pots. There are: " in refused("--model", "blog.pots")
    assert "There is no model posts." in refused("--model", "posts")
    assert "blog.post has no field tilte. It has: id, " in refused("--model", "blog.post", "--fields", "tilte")
    assert "blog.post has no status gone. There are: draft" in refused("--model", "blog.post", "--status", "gone")
    assert "chat.room has no status" in refused("--model", "chat.room", "--status", "draft")
    assert "auth.group has no date" in refused("--model", "auth.group", "--since", "2026-01-01")
    assert "has no date slug. It has: " in refused(
        "--model", "blog.post", "--since", "2026-01-01", "--date-field", "slug"
    )
    assert "before --until" in refused("--model", "blog.post", "--since", "2026-02-01", "--until", "2026-01-01")
    assert "goes with one model" in refused("--model", "blog.post", "chat.room", "--format", "csv")
    assert "goes with one model" in refused("--model", "blog.post", "chat.room", "--fields", "id")
    with pytest.raises(CommandError, match="is no time"):
        run("--model", "blog.post", "--since", "yesterday")
    assert not Event.objects.filter(action__startswith="ops.data").exists()


def test_as_a_program_it_exits_with_2_and_one_line_and_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, MANAGE, "export_data", "--model", "blog.pots"],
        env={
            "PATH": "/usr/bin:/bin",
            "LOCAL_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no model blog.pots" in done.stderr
    assert "Traceback" not in done.stderr


# --- where it goes ---------------------------------------------------------------------------------------------------


def test_a_file_is_written_for_its_owner_alone_and_the_ledger_has_the_counts(author: User, tmp_path: Path) -> None:
    a_post(author, "One")
    output = tmp_path / "posts.json"
    assert run("--model", "blog.post", "--output", str(output), "--since", "2020-01-01") == ""
    assert json.loads(output.read_text())["blog.post"][0]["title"] == "One"
    assert output.stat().st_mode & 0o777 == 0o600
    started, done = Event.objects.filter(action__startswith="ops.data").order_by("id")
    assert (started.action, done.action) == ("ops.data.export_started", "ops.data.exported")
    assert (done.changes["counts"], done.changes["complete"]) == ({"blog.post": 1}, True)
    assert (done.changes["output"], done.changes["format"]) == (str(output), "json")
    assert done.changes["since"] == "2020-01-01T00:00:00+00:00"


def test_where_it_breaks_off_the_old_file_stays_and_the_ledger_says_so(
    author: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_post(author, "One")
    output = tmp_path / "posts.json"
    output.write_text("old")

    def full(pieces: Any) -> Any:
        yield next(pieces)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "_in_chunks", full)
    with pytest.raises(CommandError, match="is as it was: No space left on device"):
        run("--model", "blog.post", "--output", str(output))
    assert [path.name for path in tmp_path.iterdir()] == ["posts.json"]
    assert output.read_text() == "old"
    event = Event.objects.get(action="ops.data.exported")
    assert (event.outcome, event.changes["complete"], event.changes["error"]) == ("error", False, "OSError")


def test_what_the_ledger_can_not_take_is_not_exported(author: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("the ledger is away")

    out = StringIO()
    monkeypatch.setattr("ops.exporting.run.audit.record", away)
    with pytest.raises(DatabaseError):
        call_command("export_data", "--model", "accounts.user", stdout=out)
    assert out.getvalue() == ""


def test_a_folder_that_is_not_there_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no folder"):
        run("--model", "blog.post", "--output", str(tmp_path / "none" / "posts.json"))


def test_a_reader_who_goes_ends_it_quietly_and_the_ledger_knows_that_it_is_not_complete(author: User) -> None:
    a_post(author, "One")

    def gone(data: bytes) -> None:
        raise BrokenPipeError

    export = exporting.Export([select(Wish("blog.post"))], "ndjson", {})
    assert export.run(gone) is False
    event = Event.objects.get(action="ops.data.exported")
    assert (event.outcome, event.changes["complete"]) == ("success", False)


def test_its_memory_does_not_grow_with_what_is_exported(author: User, superuser: Any, tmp_path: Path) -> None:
    room = Room.objects.create(slug="big", name="Big")
    superuser.execute("SET session_replication_role = replica")  # the ledger needn't have these
    superuser.execute(
        "INSERT INTO chat_message (room_id, sequence, author_id, body)"
        " SELECT %s, n, %s, repeat('x', 1000) FROM generate_series(1, 20000) AS n",
        [room.pk, author.pk],
    )
    output = tmp_path / "messages.ndjson"
    tracemalloc.start()
    try:
        run("--model", "chat.message", "--format", "ndjson", "--output", str(output))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert output.stat().st_size > 20_000_000
    assert peak_bytes < 6_000_000
    assert Message.objects.count() == 20_000
    assert Event.objects.get(action="ops.data.exported").changes["counts"] == {"chat.message": 20_000}


def test_the_help_names_every_model_and_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("export_data", "--help")
    text = capsys.readouterr().out
    assert "manage export_data --model blog.post" in text
    assert all(label in text for label in exportable_models())
