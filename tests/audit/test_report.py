"""`manage audit_report`: figures that the ledger's own search confirms, in forms that nothing in them can break."""

import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson
import psycopg
import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

import audit
from accounts.actions import create_token, revoke_token
from accounts.models import User
from audit.errors import PeriodError
from audit.models import Event
from audit.reading import filters, queries
from audit.reading.access import EVERYTHING
from audit.reports import forms, summary
from audit.reports.summary import Figure, Report
from telemetry.context import Actor, Context, bind, new_request_id, use
from tests.audit.everything.events import execute
from tests.audit.everything.models import Thing

EVIL = '<script>alert(1)</script>"\u202egpj.\r\n\x1b[2J=cmd'
PAST = datetime(2026, 3, 4, tzinfo=UTC)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("audit_report", *arguments, "--verbosity", "0", stdout=out)
    return out.getvalue()


def lines(figure: Figure) -> list[tuple[Any, ...]]:
    return [tuple(line.values.values()) for line in figure.lines]


def count(query: str) -> int:
    """How many events the ledger's search finds."""
    return queries.total(filters.parse(dict(parse_qsl(query)), EVERYTHING)).count


@pytest.fixture
def begun() -> datetime:
    return timezone.now()


@pytest.fixture
def week(db: None, begun: datetime) -> Report:
    """Let something of each kind happen, and report it."""
    admin = User.objects.create(username="chief", is_superuser=True)
    with use(Context(request_id=new_request_id(), origin="http", actor_source=Actor("user", str(admin.pk), "chief"))):
        una = User.objects.create(username="una")
        una.is_staff = True
        una.save()
        group = Group.objects.create(name="moderators of the day")
        group.permissions.add(Permission.objects.get(codename="view_event"))
        una.groups.add(group)
        una.user_permissions.add(Permission.objects.get(codename="view_personal"))
        una.groups.clear()
        token, _ = create_token(una, actor=admin, scopes=["audit:read"], name="nightly")
        revoke_token(token, actor=admin)
        Thing.objects.bulk_create([Thing(name=f"thing {number}") for number in range(30)])
        Thing.objects.all().delete()
        audit.record("audit.ledger.read", changes={"filters": {}})
        audit.record("audit.ledger.read", changes={"filters": {}})
        audit.record("everything.thing.restored", target=("everything.thing", "7"))
        audit.record("everything.thing.refused", outcome="denied")
        audit.record("everything.thing.broke", outcome="error")
        for number in range(25):
            audit.record(f"everything.kind_{number}.seen", target=(f"everything.kind_{number}", "1"))
    execute("SELECT set_config('audit.context', '', true)")
    una.set_password("right")
    una.save()
    with bind(client_address="192.0.2.7"):
        for name, password in [("una", "wrong"), ("una", "wrong"), ("hunter2", "wrong"), ("una", "right")]:
            Client(REMOTE_ADDR="192.0.2.7").post("/accounts/login/", {"username": name, "password": password})
    return summary.make(begun, timezone.now() + timedelta(minutes=1))


def test_each_figure_is_what_the_search_that_it_names_finds(week: Report) -> None:
    checked = set()
    for figure in week.figures:
        for line in figure.lines:
            if not line.query:
                continue
            numbers = [value for name, value in line.values.items() if isinstance(value, int) and name != "known"]
            expected = {"days": numbers[:1], "logins": [sum(numbers)], "grants": [1]}.get(figure.name, numbers)
            assert [count(line.query)] == expected, (figure.name, line)
            checked.add(figure.name)
    assert checked >= {one.name for one in week.figures} - {"outside"}
    assert count(week.query) == week.events == sum(value for _, value in lines(week.figure("outcomes")))


def test_totals_name_what_was_left_out(week: Report) -> None:
    actions = week.figure("actions")

    assert len(actions.lines) == 20
    assert actions.left_out > 10
    assert actions.total == week.events
    assert actions.lines[0].values == {"action": "everything.thing.created", "events": 30}
    assert f"and {actions.left_out} more, not shown." in forms.as_text(week)


def test_logins_succeeded_and_failed_with_the_names_tried_and_from_where(week: Report) -> None:
    today = timezone.now().date().isoformat()
    assert (today, 1, 3) in lines(week.figure("logins"))
    failed = week.figure("failed_logins")
    assert [(one.values["name"], one.values["address"], one.values["failed"]) for one in failed.lines] == [
        ("una", "192.0.2.7", 2),
        ("", "192.0.2.7", 1),  # nobody's name: perhaps a password in the wrong field
    ]
    assert "hunter2" not in forms.as_text(week)
    (line,) = week.figure("new_addresses").lines
    assert (line.values["user"], line.values["address"], line.values["known"]) == ("una", "192.0.2.7", 0)


def test_privileges_have_before_and_after_who_and_the_names_of_today(week: Report) -> None:
    found = {
        (one.values["object"], one.values["field"], one.values["before"], one.values["after"])
        for one in week.figure("grants").lines
        if one.values["by"] == "chief"
    }
    una = User.objects.get(username="una")
    token = una.api_tokens.get()

    assert ("user una", "is_staff", "false", "true") in found
    assert ("group moderators of the day", "permissions", "", "added: audit.view_event") in found
    assert ("user una", "groups", "", "added: moderators of the day") in found
    assert ("user una", "groups", "removed: moderators of the day", "") in found
    assert ("user una", "user_permissions", "", "added: audit.view_personal") in found
    (made,) = [after for name, field, _, after in found if (name, field) == (f"apitoken #{token.pk}", "token")]
    assert made.startswith("of una, name nightly")
    assert "audit:read" in made
    assert token.digest_hex not in made
    assert [field for name, field, before, _ in found if field == "revoked_at"] == ["revoked_at"]
    assert any(one.values["field"] == "is_superuser" for one in week.figure("grants").lines)


def test_a_group_that_is_gone_has_its_number(db: None, begun: datetime) -> None:
    una, group = User.objects.create(username="una"), Group.objects.create(name="short-lived")
    una.groups.add(group)
    pk = group.pk
    group.delete()
    told = lines(summary.make(begun, timezone.now() + timedelta(minutes=1)).figure("grants"))
    assert any(f"added: #{pk}" in line for line in told)


def test_denials_errors_deletions_reads_and_restores_are_counted(week: Report) -> None:
    assert ("denied", "everything.thing.refused", 1) in lines(week.figure("refused"))
    assert ("error", "everything.thing.broke", 1) in lines(week.figure("refused"))
    assert ("everything.thing.deleted", "everything.thing", 30) in lines(week.figure("destroyed"))
    chief = str(User.objects.get(username="chief").pk)
    assert ("audit.ledger.read", chief, "chief", "user", 2) in lines(week.figure("reads"))
    restored = ("everything.thing.restored", "everything.thing", chief, "chief", "user", 1)
    assert lines(week.figure("restores")) == [restored]


@pytest.mark.django_db(transaction=True)
def test_changes_by_psql_are_told_with_user_program_and_table(
    begun: datetime, owner_connection: psycopg.Connection
) -> None:
    owner_connection.execute("SET application_name = 'nightly.sh'")
    owner_connection.execute("INSERT INTO everything_person (name) VALUES ('a'), ('b')")
    owner_connection.execute("TRUNCATE everything_tag CASCADE")
    report = summary.make(begun, timezone.now() + timedelta(minutes=1))

    user = owner_connection.info.user
    outside = report.figure("outside")
    assert (user, "nightly.sh", "everything.person", 2) in lines(outside)
    assert count(next(one.query for one in outside.lines if one.values["object_type"] == "everything.person")) == 2
    assert ("everything.tag.truncated", "everything.tag") in [line[:2] for line in lines(report.figure("destroyed"))]


@pytest.fixture
def past(transactional_db: None, owner_connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Give a ledger with events of certain times: at 00:00, 06:00, 07:00 and 23:59:59.999999 of 4 March 2026."""
    owner_connection.execute("ALTER TABLE audit_event DISABLE TRIGGER USER")
    moments = [timedelta(0), timedelta(hours=6), timedelta(hours=7), timedelta(days=1, microseconds=-1)]
    for at in moments:
        owner_connection.execute(
            "INSERT INTO audit_event (recorded_at, action, context) VALUES (%s, 'shop.order.paid', '{}')", [PAST + at]
        )
    yield owner_connection
    owner_connection.execute("ALTER TABLE audit_event ENABLE TRIGGER USER")


def test_days_begin_and_end_in_utc_and_those_without_events_are_there_too(past: psycopg.Connection) -> None:
    report = summary.make(PAST - timedelta(hours=1), PAST + timedelta(days=2))

    days = report.figure("days")
    assert [line[:2] for line in lines(days)] == [("2026-03-03", 0), ("2026-03-04", 4), ("2026-03-05", 0)]
    assert [count(one.query) for one in days.lines] == [0, 4, 0]
    assert days.lines[0].query == "since=2026-03-03T23%3A00%3A00Z&until=2026-03-04T00%3A00%3A00Z"
    assert (report.first_event_at, report.last_event_at) == (PAST, PAST + timedelta(days=1, microseconds=-1))


def test_the_longest_silence_lies_between_events_or_at_an_end(past: psycopg.Connection) -> None:
    within = summary.make(PAST, PAST + timedelta(days=1)).silence
    at_the_end = summary.make(PAST, PAST + timedelta(days=3)).silence
    at_the_beginning = summary.make(PAST + timedelta(minutes=1), PAST + timedelta(hours=6, minutes=1)).silence

    assert within is not None
    assert (within.begun_at, within.ended_at) == (PAST + timedelta(hours=7), PAST + timedelta(days=1, microseconds=-1))
    assert count(within.query) == 2  # those on either side
    assert at_the_end is not None
    assert at_the_end.ended_at == PAST + timedelta(days=3)
    assert at_the_beginning is not None
    assert at_the_beginning.begun_at == PAST + timedelta(minutes=1)


def test_an_empty_period_is_all_zero(db: None) -> None:
    report = summary.make(PAST, PAST + timedelta(days=1))

    assert report.events == 0
    assert {one.name: one.lines for one in report.figures if one.lines and one.name not in ("days", "logins")} == {}
    assert "None." in forms.as_text(report)
    assert forms.as_html(report).count("None.") == len(report.figures) - 2


@pytest.fixture
def evil(db: None, begun: datetime) -> Report:
    with use(Context(request_id=new_request_id(), origin="http", actor_source=Actor("user", EVIL, EVIL))):
        audit.record(f"audit.ledger.{EVIL}", target=(EVIL, EVIL), outcome="denied")
        Group.objects.create(name=EVIL).permissions.add(Permission.objects.get(codename="view_event"))
    return summary.make(begun, timezone.now() + timedelta(minutes=1))


def test_nothing_in_the_ledger_can_break_out_of_text_or_html(evil: Report) -> None:
    html, text = forms.as_html(evil), forms.as_text(evil)

    assert "<script" not in html.lower()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    for form in (html, text):
        assert not set(form) & set("\u202e\r\x1b\x07")
        assert r"\u202egpj.\u000d\u000a\u001b[2J=cmd" in form.replace("\n", "")
    assert max(map(len, text.splitlines())) <= forms.WIDTH


def test_the_html_needs_nothing_from_elsewhere(week: Report) -> None:
    html = forms.as_html(week)

    assert not re.search(r"""(src|href|action|poster)\s*=\s*["'](?!#)|url\(|@import|<script|<link|<iframe""", html)
    assert "default-src 'none'" in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html
    assert html.count("<caption>") == html.count("<table>") > 5
    assert "<svg" in html


def test_a_language_and_a_time_zone_change_no_number_and_no_time(week: Report, settings: Any) -> None:
    before = forms.as_html(week)
    settings.LANGUAGE_CODE, settings.USE_I18N, settings.USE_THOUSAND_SEPARATOR = "de", True, True
    with timezone.override("Pacific/Auckland"):
        assert forms.as_html(week) == before


def test_json_has_values_exactly_in_the_documented_shape(evil: Report) -> None:
    told = orjson.loads(forms.as_json(evil))

    assert told["version"] == 1
    assert told["time_zone"] == "UTC"
    assert told["holds_personal_data"] is True
    assert datetime.fromisoformat(told["since"]) == evil.since
    assert set(told["coverage"]) == {"ledger_began_at", "first_event_at", "last_event_at", "longest_silence", "notes"}
    reader = told["figures"]["reads"]["lines"][0]
    assert (reader["action"], reader["actor"], reader["events"]) == (f"audit.ledger.{EVIL}", EVIL, 1)
    for figure in told["figures"].values():
        assert set(figure) == {"title", "note", "columns", "total", "left_out", "lines"}
        assert all(set(figure["columns"]) | {"query"} <= set(line) for line in figure["lines"])


def test_a_report_is_itself_recorded_with_period_and_format(db: None) -> None:
    run("--since", "2026-03-01", "--until", "2026-03-08T12:30+02:00", "--format", "json")
    event = Event.objects.filter(action="audit.ledger.reported").latest("id")
    assert event.changes is not None
    assert (event.changes["since"], event.changes["until"], event.changes["format"]) == (
        "2026-03-01T00:00:00+00:00",
        "2026-03-08T10:30:00+00:00",
        "json",
    )


def test_a_file_is_written_whole_and_for_its_owner_alone(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "week.html"
    assert run("--format", "html", "--output", str(file)) == ""
    whole = file.read_text()
    assert whole.startswith("<!doctype html>")
    assert whole.rstrip().endswith("</html>")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CommandError, match="is as it was: No space left on device"):
        run("--output", str(file))
    assert file.read_text() == whole
    assert list(tmp_path.iterdir()) == [file]


def test_where_nothing_can_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    for output, message in [(tmp_path, "is no file"), (tmp_path / "no" / "x.txt", "There is no folder")]:
        with pytest.raises(CommandError, match=message):
            run("--output", str(output))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "2026-03-02", "--until", "2026-03-01"], "--until has to be later than --since"),
        (["--since", "2026-03-02", "--until", "2026-03-02"], "--until has to be later than --since"),
        (["--since", "2999-01-01"], "--since lies in the future"),
        (["--since", "2999-01-01", "--until", "2999-02-01"], "All of the period lies in the future"),
        (["--since", "2026-03-02", "--days", "3"], "not both"),
        (["--days", "0"], "--days takes 1 to 366"),
        (["--since", "2020-01-01", "--until", "2026-01-01"], "at most 366 days"),
        (["--since", "yesterday"], "is no time. Write one as 2026-03-01"),
        (["--days", "week"], "invalid int value"),
    ],
)
def test_a_wrong_period_says_how_to_mend_it(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run(*arguments)


def test_the_period_is_seven_days_until_now_where_nothing_is_said() -> None:
    since, until = summary.period(None, None, None)
    assert until - since == timedelta(days=7)
    assert timezone.now() - until < timedelta(minutes=1)
    assert summary.period(None, PAST, 2) == (PAST - timedelta(days=2), PAST)
    with pytest.raises(PeriodError):
        summary.period(PAST, None, 1)


def test_a_database_without_ledger_is_said(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.status.has_ledger", lambda alias: False)
    with pytest.raises(CommandError, match="There is no ledger on the database 'default'"):
        run()


def test_what_is_done_is_told_on_standard_error(db: None) -> None:
    out, errors = StringIO(), StringIO()
    call_command("audit_report", stdout=out, stderr=errors)
    assert "counting events" in errors.getvalue()
    assert out.getvalue().startswith("LEDGER REPORT")


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("audit_report", "--help")
    assert "manage audit_report --since 2026-03-01 --until 2026-04-01    March" in capsys.readouterr().out


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_file_opens_from_the_file_system_and_fits(
    week: Report, evil: Report, browser: Any, tmp_path: Path, width: int, scheme: str
) -> None:
    told: list[str] = []
    for place, report in enumerate((week, evil)):
        file = tmp_path / f"{place}.html"
        file.write_text(forms.as_html(report), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page = context.new_page()
        told.clear()
        page.on("console", lambda message: told.append(message.text))
        page.on("request", lambda request: told.append(request.url))
        page.goto(file.as_uri())
        assert told == [file.as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        context.close()
