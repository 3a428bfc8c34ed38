"""One pipeline for every line: valid JSON, joined by ids, without secrets."""

import json
import logging

import pytest
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
    [f"Authorization: Bearer {CANARY}", f"token gh_{CANARY}", f"?password={CANARY}&x=1", f'{{"secret": "{CANARY}"}}'],
)
def test_secrets_by_form_never_reach_a_line(capsys: pytest.CaptureFixture[str], text: str) -> None:
    logging.getLogger("some.library").warning("sent %s", text)

    assert CANARY not in capsys.readouterr().out


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
