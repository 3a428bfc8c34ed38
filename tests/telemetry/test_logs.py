"""One pipeline for every line: valid JSON, joined by ids, without secrets."""

import enum
import io
import json
import logging
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import structlog
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from telemetry import logs
from telemetry.context import Actor, Context, use
from telemetry.logs import get_logger
from telemetry.logs.libraries import LibraryHandler
from telemetry.metrics import exposed_registry
from telemetry.redaction import REDACTED, clean

CANARY = "canary-3f9a"


def last_line(captured: pytest.CaptureFixture[str]) -> dict[str, object]:
    line: dict[str, object] = json.loads(captured.readouterr().out.splitlines()[-1])
    return line


def test_our_lines_carry_the_ids_of_the_context(capsys: pytest.CaptureFixture[str]) -> None:
    with use(Context(request_id="request-1", trace_id="t" * 32, span_id="s" * 16, actor_source=Actor("user", "7"))):
        get_logger("test").info("thing.done", count=3)
    line = last_line(capsys)

    assert (line["event"], line["count"], line["level"]) == ("thing.done", 3, "info")
    assert (line["request_id"], line["trace_id"], line["user_id"]) == ("request-1", "t" * 32, "7")


def test_libraries_lines_go_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    with use(Context(request_id="request-1")):
        logging.getLogger("some.library").warning("Retrying %s in %d s", "host", 3, extra={"attempt": 2})
    line = last_line(capsys)

    assert (line["event"], line["logger"], line["attempt"]) == ("Retrying host in 3 s", "some.library", 2)
    assert line["request_id"] == "request-1"


@pytest.mark.parametrize(
    "field",
    ["password", "new_password", "token", "Authorization", "cookie", "sessionid", "api_key", "csrfmiddlewaretoken"],
)
def test_secrets_by_name_never_reach_a_line(capsys: pytest.CaptureFixture[str], field: str) -> None:
    get_logger("test").info("login", **{field: CANARY, "nested": {"deep": {field: CANARY}}})
    output = capsys.readouterr().out

    assert CANARY not in output
    assert REDACTED in output


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"Authorization: Basic {CANARY}",
        f"token gh_{CANARY}",
        f"?password={CANARY}&x=1",
        f'{{"secret": "{CANARY}"}}',
        f"new_password1='two words {CANARY}'",
        f'{{\\"api_key\\": \\"{CANARY}\\"}}',
        f"https://una:{CANARY}@example.org/",
        f"refused\nDETAIL:  Key (digest_hex)=({CANARY}) already exists.",
        repr(f"refused\nLINE 1: UPDATE x SET y = '{CANARY}'"),
        f"Internal: {settings.SECRET_KEY} {'x' * 5_000} {CANARY}",
    ],
)
def test_secrets_by_form_never_reach_a_line(capsys: pytest.CaptureFixture[str], text: str) -> None:
    logging.getLogger("some.library").warning("sent %s", text)
    output = capsys.readouterr().out

    assert CANARY not in output
    assert settings.SECRET_KEY not in output


class _Request:
    def __repr__(self) -> str:
        return f"<Request: GET '/?token={CANARY}'>"


def test_secrets_within_objects_and_pairs_never_reach_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    get_logger("test").info("sent", request=_Request(), headers=[("Cookie", CANARY), ("Accept", "text/html")])
    line = last_line(capsys)

    assert line["headers"] == [["Cookie", REDACTED], ["Accept", "text/html"]]
    assert line["request"] == f"<Request: GET '/?token={REDACTED}'>"


@pytest.mark.parametrize(
    "text", ["token_id=5", "session_id_hash: ab12", "GET /api/tokens/ 200", "a password for Una", "08:15: line 12"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert clean(text) == text


def test_a_traceback_tells_where_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("here")
    except ValueError:
        get_logger("test").exception("failed")

    assert "test_a_traceback_tells_where_it_was" in json.dumps(last_line(capsys))


def test_an_exceptions_secrets_are_redacted_too(capsys: pytest.CaptureFixture[str]) -> None:
    pin = CANARY  # a local variable of the frame that fails
    try:
        raise ValueError(f"password={pin}")
    except ValueError:
        get_logger("test").exception("failed")

    assert CANARY not in capsys.readouterr().out


# --- form ------------------------------------------------------------------------------------------------------------

any_text = st.text(st.characters(exclude_categories=()))
any_value = st.recursive(
    any_text | st.binary() | st.floats() | st.integers() | st.none() | st.datetimes() | st.decimals(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3) | st.tuples(any_text, inner)
    ),
    max_leaves=10,
)


def written_by(write: Callable[[], object]) -> str:
    """Return what `write` writes to standard output, for tests that hypothesis repeats within one capture."""
    with redirect_stdout(io.StringIO()) as stream:
        write()
    return stream.getvalue()


def the_only_line(text: str) -> dict[str, Any]:
    assert len(text.splitlines()) == 1
    assert text.endswith("\n")
    assert text[:-1].isprintable() or not set(text[:-1]) & set("\x1b\x7f\u202e\u2066\u2028")
    assert len(text.encode()) <= 4_096
    line: dict[str, Any] = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert {"event", "level", "logger", "timestamp"} <= line.keys()
    return line


@given(event=any_text, key=any_text, value=any_value)
def test_whatever_is_logged_makes_one_line_that_forges_nothing(event: str, key: str, value: Any) -> None:
    line = the_only_line(written_by(lambda: get_logger("test").warning(event, **{key: value})))

    assert (line["level"], line["logger"]) == ("warning", "test")
    assert line["event"] == clean(event) or "cut_from_bytes" in line


@given(name=any_text, message=any_text, argument=any_value)
def test_whatever_a_library_logs_makes_one_line(name: str, message: str, argument: Any) -> None:
    record = logging.LogRecord(name or "root", logging.ERROR, "path", 1, message, (argument,), None)
    line = the_only_line(written_by(lambda: LibraryHandler().handle(record)))

    assert line["level"] == "error"


@pytest.mark.parametrize("key", ["timestamp", "level", "logger", "event"])
def test_a_field_never_takes_the_place_of_what_every_line_has(capsys: pytest.CaptureFixture[str], key: str) -> None:
    get_logger("test").warning("thing.done", **{key: "forged"})
    line = last_line(capsys)

    assert (line["level"], line["logger"], line["event"]) == ("warning", "test", "thing.done")
    assert line[f"{key}_"] == "forged"


def test_times_are_utc_in_microseconds(capsys: pytest.CaptureFixture[str]) -> None:
    before = datetime.now(UTC)
    get_logger("test").info("thing.done")
    logging.getLogger("some.library").warning("done")
    for text in capsys.readouterr().out.splitlines():
        written = json.loads(text)["timestamp"]
        assert len(written) == len("2026-01-01T00:00:00.000000Z")
        assert before <= datetime.fromisoformat(written) + timedelta(microseconds=1) <= datetime.now(UTC)
        assert written.endswith("Z")


class _Silent:
    def __repr__(self) -> str:
        raise RuntimeError


class _Odd(enum.Enum):
    VALUE = object()


def test_values_that_json_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    wide: object = "x"
    for _ in range(8):
        wide = [wide] * 100
    get_logger("test").info(
        "thing.done",
        nan=float("nan"),
        infinite=float("-inf"),
        large=2**64,
        huge=10**6_000,
        raw=b"password",
        buffer=bytearray(b"password"),
        lone="a\ud800b",
        silent=_Silent(),
        odd=_Odd.VALUE,
        cycle=cycle,
        amount=Decimal("1.50"),
        at=time(1, 2, tzinfo=UTC),
        uuid=UUID(int=1),
        mapping={_Silent(): 1, 2: {"token": 3}},
    )
    get_logger("test").info("thing.done", wide=wide)
    line, wide_line = map(json.loads, capsys.readouterr().out.splitlines())

    assert (line["nan"], line["infinite"]) == (None, None)
    assert (line["large"], line["huge"]) == (str(2**64), "<an integer of 19932 bits>")
    assert (line["raw"], line["buffer"]) == ("<8 bytes>", "<8 bytes>")
    assert (line["lone"], line["silent"], line["odd"]) == ("a\\ud800b", "<_Silent>", "_Odd.VALUE")
    assert (line["amount"], line["uuid"]) == ("1.50", str(UUID(int=1)))
    assert line["mapping"] == {"<_Silent>": 1, "2": {"token": REDACTED}}
    assert "wide" in wide_line


@pytest.mark.parametrize("fields", [{"text": "ä" * 1_000_000}, {f"key{n}": "x" * 900 for n in range(200)}])
def test_a_line_that_is_too_long_is_cut_and_says_so(capsys: pytest.CaptureFixture[str], fields: dict[str, str]) -> None:
    with use(Context(request_id="request-1")):
        get_logger("test").info("thing.done", **fields)
    line = the_only_line(capsys.readouterr().out)

    assert (line["event"], line["request_id"]) == ("thing.done", "request-1")
    assert line["cut_from_bytes"] > 4_096


def test_a_traceback_that_is_too_long_keeps_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    def dive(depth: int) -> None:
        if depth:
            dive(depth - 1)
        raise ValueError("x" * 5_000)

    try:
        dive(300)
    except ValueError as error:
        try:
            raise RuntimeError("above it") from error
        except RuntimeError:
            get_logger("test").exception("failed")
    line = the_only_line(capsys.readouterr().out)
    above, cause = line["exception"]

    assert (above["exc_type"], above["exc_value"], cause["exc_type"]) == ("RuntimeError", "above it", "ValueError")
    assert cause["is_cause"]
    assert cause["frames"][-1].endswith("dive")
    assert any("more" in frame for frame in cause["frames"])


def test_exceptions_of_a_group_and_notes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    error = ValueError("inner")
    error.add_note("of the third row, token=canary-3f9a")
    get_logger("test").error("failed", exc_info=ExceptionGroup("several", [error, KeyError("other")]))
    (told,) = last_line(capsys)["exception"]  # type: ignore[misc]

    assert [inner["exc_type"] for inner in told["exceptions"]] == ["ValueError", "KeyError"]
    assert told["exceptions"][0]["exc_notes"] == [f"of the third row, token={REDACTED}"]


# --- logging never fails what it tells of ----------------------------------------------------------------------------


def test_arguments_that_do_not_fit_are_told_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    get_logger("test").info("100%", 5)
    for message, argument in (("%d of %s", "many"), ("%s", _Silent())):
        record = logging.LogRecord("some.library", logging.WARNING, "path", 1, message, (argument,), None)
        LibraryHandler().handle(record)  # the test runner's handlers would raise
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())

    assert first["event"] == "100% (5,)"
    assert second["event"] == "%d of %s ('many',)"
    assert "can't be told" in third["event"]


def test_a_standard_output_that_is_closed_or_missing_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (closed, None, object()):
        monkeypatch.setattr("sys.stdout", stream)
        get_logger("test").info("thing.done")
        logging.getLogger("some.library").warning("done")


def test_a_listener_gets_each_line_redacted_and_may_fail(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []

    def fail(line: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("telemetry.logs.pipeline._listeners", [])
    logs.listen(fail)
    logs.listen(heard.append)
    get_logger("test").info("thing.done", token=CANARY)
    logging.getLogger("some.library").warning("done")

    assert [(line["event"], line.get("token")) for line in heard] == [("thing.done", REDACTED), ("done", None)]
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_lines_are_counted_by_level(capsys: pytest.CaptureFixture[str]) -> None:
    def count(level: str) -> float:
        return exposed_registry().get_sample_value("telemetry_log_lines_total", {"level": level}) or 0

    before = count("warning"), count("debug")
    get_logger("test").warning("thing.done")
    logging.getLogger("some.library").warning("done")
    get_logger("test").debug("thing.done")

    assert (count("warning"), count("debug")) == (before[0] + 2, before[1])
    assert b"telemetry_log_lines_dropped_total" in generate_latest(exposed_registry())


# --- loggers ---------------------------------------------------------------------------------------------------------


def test_structlogs_own_loggers_go_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    bound = structlog.get_logger("other").bind(token=CANARY, part=1)
    bound.info("thing.done", part=2)
    line = last_line(capsys)

    assert (line["logger"], line["part"], line["token"]) == ("other", 2, REDACTED)


def test_lines_can_be_captured_by_structlogs_means(capsys: pytest.CaptureFixture[str]) -> None:
    log = get_logger("test")
    with structlog.testing.capture_logs() as captured:
        log.error("thing.failed", part=1)

    assert captured == [{"event": "thing.failed", "part": 1, "log_level": "error"}]
    assert capsys.readouterr().out == ""


def test_a_level_counts_for_loggers_that_were_made_before(capsys: pytest.CaptureFixture[str], settings: Any) -> None:
    log = get_logger("test")
    settings.TELEMETRY_LOG_LEVEL = "error"
    logs.configure()
    try:
        log.warning("thing.done")
        logging.getLogger("some.library").warning("done")
        logging.getLogger("uvicorn.access").warning("done")
        log.log(logging.ERROR, "thing.failed")
    finally:
        del settings.TELEMETRY_LOG_LEVEL
        logs.configure()

    assert last_line(capsys)["event"] == "thing.failed"


def test_a_level_that_is_none_is_refused(settings: Any) -> None:
    settings.TELEMETRY_LOG_LEVEL = "loud"
    with pytest.raises(ValueError, match="LOUD"):
        logs.configure()


def test_people_get_words_without_what_moves_the_cursor(capsys: pytest.CaptureFixture[str], settings: Any) -> None:
    settings.TELEMETRY_LOG_FORMAT = "console"
    logs.configure()
    try:
        with use(Context(request_id="request-1", trace_id="t" * 32, span_id="s" * 16)):
            get_logger("test").info("thing.done", text="\x1b[2J\u202e", nothing=None, **{"k\x1b": 1})
            logging.getLogger("some.library").warning("two\nlines")
    finally:
        del settings.TELEMETRY_LOG_FORMAT
        logs.configure()
    ours, theirs = capsys.readouterr().out.splitlines()

    assert "thing.done" in ours
    assert "request-1" in ours
    assert "two\\u000alines" in theirs
    assert not any(mark in ours for mark in ("\x1b[2J", "\u202e", "k\x1b", "nothing", "t" * 32))
