"""One pipeline for every line: valid JSON, joined by ids, without secrets."""

import json
import logging

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from telemetry.context import Actor, Context, use
from telemetry.logs import get_logger
from telemetry.redaction import REDACTED, clean, redact

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


@given(st.text())
def test_no_text_can_forge_a_second_line_or_move_the_cursor(text: str) -> None:
    cleaned = clean(text)

    assert len(cleaned.splitlines()) <= 1
    assert "\x1b" not in cleaned
    assert "\u202e" not in cleaned


def test_long_values_are_cut_and_say_so() -> None:
    assert clean("x" * 10_000).endswith("(10000 characters)")


def test_deep_and_odd_values_are_survived() -> None:
    deep: dict[str, object] = {}
    deep["self"] = deep

    assert REDACTED in json.dumps(redact(deep))
    assert redact({"data": b"123"}) == {"data": "<3 bytes>"}
