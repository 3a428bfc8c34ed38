"""`manage audit_tail`: one inert line an event, nothing missed between two runs, and clean ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

import audit
from accounts.models import User
from audit import recording
from audit.live import tail
from audit.models import Event
from audit.reading import cursors
from audit.reading.cursors import Cursor
from tests.audit.everything.models import Tag

pytestmark = pytest.mark.django_db(transaction=True)

TAGS = "action=everything.tag.created"
MANAGE = Path(settings.BASE_DIR) / "manage.py"


def printed(*arguments: str) -> list[str]:
    """Return the lines that the command prints until there is no more."""
    out = StringIO()
    call_command("audit_tail", *arguments, "--once", stdout=out)
    return out.getvalue().splitlines()


def names(*arguments: str) -> list[str]:
    lines = printed("--filter", TAGS, "--format", "json", *arguments)
    return [json.loads(line)["changes"]["name"][1] for line in lines]


@pytest.fixture
def now() -> str:
    """Return the cursor of the test's beginning."""
    return str(tail.begin())


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    file = ("--cursor-file", str(tmp_path / "cursor"))
    Tag.objects.create(name="before")
    assert names(*file) == []
    Tag.objects.create(name="a")
    late = psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None, "context": None})
    late.execute("INSERT INTO everything_tag (name) VALUES ('late')")
    Tag.objects.create(name="b")
    assert names(*file) == ["a", "b"]
    late.commit()
    late.close()

    assert names(*file) == ["late"]
    assert names(*file) == []
    assert [path.name for path in tmp_path.iterdir()] == ["cursor"]


def test_a_limit_leaves_the_rest_for_the_next_run(tmp_path: Path, now: str) -> None:
    Tag.objects.bulk_create([Tag(name=name) for name in "abcde"])
    file = ("--cursor-file", str(tmp_path / "cursor"))

    assert names(*file, "--cursor", now, "--limit", "2") == ["a", "b"]
    assert names(*file, "--cursor", now, "--limit", "2") == ["c", "d"]
    assert names(*file) == ["e"]


def test_a_batch_that_was_not_written_out_is_shown_again(tmp_path: Path, now: str) -> None:
    class Full(StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    file = ("--cursor-file", str(tmp_path / "cursor"), "--cursor", now)
    Tag.objects.create(name="a")
    with pytest.raises(OSError, match="No space"):
        call_command("audit_tail", "--filter", TAGS, "--once", *file, stdout=Full())

    assert names(*file) == ["a"]


def test_since_shows_what_was_before_oldest_first() -> None:
    Tag.objects.create(name="before")
    since = timezone.now().isoformat()
    for name in "ab":
        Tag.objects.create(name=name)

    assert names("--since", since) == ["a", "b"]
    assert names() == []


def test_without_filters_everything_is_shown_its_own_beginning_too(now: str) -> None:
    Tag.objects.create(name="a")

    shown = [json.loads(line)["action"] for line in printed("--cursor", now, "--format", "json")]

    assert shown == ["everything.tag.created", "audit.ledger.tail_opened"]


def test_that_it_was_done_is_recorded(now: str) -> None:
    Tag.objects.create(name="a")
    names("--cursor", now)

    opened, closed = Event.objects.filter(action__startswith="audit.ledger.tail_").order_by("id")
    asked = {"action": "everything.tag.created"}
    assert (opened.action, opened.changes) == ("audit.ledger.tail_opened", {"filters": asked})
    assert (closed.action, closed.changes) == ("audit.ledger.tail_closed", {"filters": asked, "events": 1})


def test_what_cant_be_recorded_isnt_shown(now: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OperationalError

    Tag.objects.create(name="a")
    monkeypatch.setattr(recording, "record", refuse)
    out = StringIO()
    with pytest.raises(OperationalError):
        call_command("audit_tail", "--cursor", now, "--once", stdout=out)
    assert out.getvalue() == ""


def test_a_persons_access_can_be_taken(now: str) -> None:
    person = User.objects.create(username="auditor", email="auditor@example.org")
    asked = ("--cursor", now, "--filter", "action=accounts.user.created", "--format", "json")
    with pytest.raises(CommandError, match=r"needs the permission audit\.view_event"):
        printed(*asked, "--as", "auditor")
    person.user_permissions.add(Permission.objects.get(codename="view_event"))

    (hidden,), (shown,) = printed(*asked, "--as", "auditor"), printed(*asked)

    assert json.loads(hidden)["changes"]["email"] == [None, {"hidden": "personal"}]
    assert json.loads(shown)["changes"]["email"] == [None, "auditor@example.org"]
    (line,) = printed("--cursor", now, "--filter", "action=accounts.user.created", "--as", "auditor")
    assert "email=(hidden: personal)" in line
    with pytest.raises(CommandError, match="nobody named 'nobody'"):
        printed("--as", "nobody")
    with pytest.raises(CommandError, match=r"address: .*audit\.view_personal"):
        printed("--as", "auditor", "--filter", "address=192.0.2.7")


def test_a_line_tells_time_action_object_actor_outcome_and_fields(now: str) -> None:
    tag = Tag.objects.create(name="old")
    tag.name = "new"
    tag.save()
    audit.record("everything.tag.refused", target=tag, outcome="denied", reason="no")

    created, updated, refused = printed("--cursor", now, "--filter", "action=everything.tag.")

    at = Event.objects.get(action="everything.tag.created").recorded_at
    assert created.startswith(f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z  everything.tag.created  ")
    assert f"  everything.tag {tag.pk}  " in created
    assert created.endswith(f'  success  id={tag.pk} name="old"')
    assert updated.endswith('  success  name="old"->"new"')
    assert refused.endswith("  denied")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "text",
    [
        "two\nlines\r\nand more",
        "\x1b[2J\x1b]0;title\x07",
        "\x9b31m \x85 \x7f",
        "\u202egnorw\u202c \u2066a\u2069 \u200f",
        "\u2028 \u2029 \ufeff \u200b \u00ad",
        "\U000e0041\U000e007f",
        'quote " and \\ and \\u001b',
    ],
)
def test_one_event_stays_one_inert_line(now: str, text: str, form: str) -> None:
    Tag.objects.create(name=text)
    audit.record("everything.tag.noted", target=("everything.tag", text), changes={text: text})

    out = StringIO()
    call_command(
        *("audit_tail", "--cursor", now, "--filter", "action=everything.", "--format", form, "--once"), stdout=out
    )

    lines = out.getvalue().split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    if form == "json":
        created, noted = (json.loads(line) for line in lines[:2])
        assert created["changes"]["name"] == [None, text]
        assert (noted["object_id"], noted["changes"]) == (text, {text: [None, text]})


def test_nothing_in_an_event_can_be_taken_for_another_part_of_its_line(now: str) -> None:
    audit.record("everything.tag.noted", target=("everything.tag", "7  success  name=1"), changes={"a": "b" * 500})

    (line,) = printed("--cursor", now, "--filter", "action=everything.")

    assert '  everything.tag "7  success  name=1"  ' in line
    assert line.endswith(f'  success  a="{"b" * 79}…')


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--filter", "colour=red"], "colour: No such filter"),
        (["--filter", "colour"], "isn't of the form NAME=VALUE"),
        (["--filter", "q=\udcff"], "can't be printed"),
        (["--filter", "q=a", "--filter", "q=b"], "more than once"),
        (["--since", "yesterday"], "since: “yesterday” is no time"),
        (["--cursor", "x"], "--cursor: This cursor"),
        (["--cursor", str(Cursor(database="42"))], "--cursor: This cursor"),
        (["--cursor", "x", "--since", "2026-03-01"], "not allowed with"),
        (["--limit", "0"], "no number from 1"),
        (["--cursor-file", "/nowhere/cursor"], "/nowhere/cursor"),
    ],
)
def test_what_is_wrong_is_named(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError) as refused:
        printed(*arguments)
    assert message in str(refused.value)


@pytest.mark.parametrize("content", ["", "x", str(Cursor(database="42"))])
def test_a_file_without_a_cursor_of_this_ledger_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "cursor"
    path.write_text(content)
    with pytest.raises(CommandError, match="Remove the file to begin anew"):
        printed("--cursor-file", str(path))
    assert path.read_text() == content


def test_an_absent_database_fails_one_run_and_is_waited_for_otherwise(
    now: str, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.AUDIT_TAIL_SECONDS = 0.01
    Tag.objects.create(name="a")
    read, calls = tail.read, iter(range(100))

    def fail(*args: Any, **kwargs: Any) -> tail.Batch:
        if next(calls) < 3:
            raise OperationalError
        return read(*args, **kwargs)

    monkeypatch.setattr(tail, "read", fail)
    with pytest.raises(CommandError, match="doesn't answer"):
        printed("--cursor", now)
    out, err = StringIO(), StringIO()
    call_command("audit_tail", "--cursor", now, "--filter", TAGS, "--limit", "1", stdout=out, stderr=err)

    assert len(out.getvalue().splitlines()) == 1
    assert err.getvalue() == "The database doesn't answer; waiting for it.\n"


def test_its_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("audit_tail", "--help")
    assert "manage audit_tail --since" in capsys.readouterr().out


# --- as a process ----------------------------------------------------------------------------------------------------

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(transactional_db: None) -> Iterator[Start]:
    """Return a function that starts the command beside this process, on the suite's database."""
    started: list[subprocess.Popen[str]] = []

    def start_one(*arguments: str) -> "subprocess.Popen[str]":
        # The suite's own settings log to standard output.
        environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings.development"}
        command = [sys.executable, str(MANAGE), "audit_tail", "--filter", TAGS, *arguments]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()
        process.communicate()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(start: Start, now: str, tmp_path: Path, number: int) -> None:
    Tag.objects.create(name="a")
    path = tmp_path / "cursor"
    process = start("--cursor", now, "--cursor-file", str(path))
    assert '"a"' in first_line(process)
    process.send_signal(number)

    out, err = process.communicate(timeout=300)

    assert (process.returncode, out, err) == (0, "", "")
    assert Event.objects.get(action="audit.ledger.tail_closed").changes["events"] == 1
    Tag.objects.create(name="b")
    assert names("--cursor-file", str(path)) == ["b"]


def test_it_ends_quietly_when_nobody_reads_any_more(start: Start, now: str, tmp_path: Path) -> None:
    Tag.objects.create(name="a")
    process = start("--cursor", now, "--cursor-file", str(tmp_path / "cursor"))
    assert '"a"' in first_line(process)
    assert process.stdout is not None
    process.stdout.close()  # as `head -1` does; nothing more has to come for it to be noticed

    assert (process.wait(60), process.stderr and process.stderr.read()) == (0, "")
    assert Event.objects.filter(action="audit.ledger.tail_closed").count() == 1


def test_a_closed_pipe_amid_a_batch_is_no_error_and_nothing_is_lost(start: Start, now: str, tmp_path: Path) -> None:
    Tag.objects.bulk_create([Tag(name=f"{number} {'x' * 90}") for number in range(600)])
    path = tmp_path / "cursor"
    process = start("--cursor", now, "--cursor-file", str(path), "--format", "json")
    first_line(process)
    assert process.stdout is not None
    process.stdout.close()

    assert (process.wait(60), process.stderr and process.stderr.read()) == (0, "")
    missing = len(names("--cursor-file", str(path)))
    shown = Event.objects.get(action="audit.ledger.tail_closed", origin="command").changes["events"]
    assert shown + missing == 600
    assert cursors.parse(path.read_text().strip())
