"""Secrets are told by their names and forms, quickly; all else stays as it is, as one inert text."""

import json
import string
import time
from typing import Any

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from telemetry.redaction import REDACTED, clean, hide, hide_in, redact

CANARY = "canary-3f9a"


@given(st.text(st.characters(exclude_categories=())))
def test_no_text_can_forge_a_second_line_or_move_the_cursor(text: str) -> None:
    cleaned = clean(text)

    assert len(cleaned.splitlines()) <= 1
    assert not set(cleaned) & set("\x1b\u202e\u2066\x9b\ud800\udfff")
    cleaned.encode()


@given(st.text(string.ascii_letters + string.digits + " _-./<>", max_size=300))
def test_a_text_without_marks_stays(text: str) -> None:
    marks = ("gh_", "bearer", "eyj", "private key")
    if not any(mark in text.lower() for mark in marks):
        assert clean(text) == text


def test_long_values_are_cut_and_say_so() -> None:
    assert clean("x" * 10_000).endswith("(10000 characters)")


def test_deep_and_odd_values_are_survived() -> None:
    deep: dict[str, object] = {}
    deep["self"] = deep

    assert REDACTED in json.dumps(redact(deep))
    assert redact({"data": b"123"}) == {"data": "<3 bytes>"}


@pytest.mark.parametrize("length", range(3_990, 4_002))
def test_a_cut_never_shows_the_half_of_a_secret(length: int) -> None:
    text = "x" * length + settings.SECRET_KEY + "x" * 5_000

    assert settings.SECRET_KEY[:6] not in clean(text)


@pytest.mark.parametrize(
    "text",
    [
        f"X-Api-Key: {CANARY}",
        f"private-key={CANARY}",
        f"aws_secret_access_key = {CANARY}",
        f"credentials={CANARY}",
        f"PASSWORD={CANARY}",
        f"\u017fecret={CANARY}",
        f"https://una:{CANARY}@host@example.org/",
        f"redis://:{CANARY}@localhost:6379/0",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.canary-3f9a",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n{CANARY}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}",
        f"bearer   {CANARY}",
        f"GH_{CANARY}",
    ],
)
@pytest.mark.parametrize("before", ["", "a text that is long enough not to be remembered, and has no marks " * 3])
def test_secrets_are_told_by_their_form(text: str, before: str) -> None:
    assert CANARY not in clean(before + text)
    assert CANARY not in hide(before + text)
    assert CANARY not in json.dumps(hide_in({"text": [before + text]}))


@pytest.mark.parametrize("name", ["X-Api-Key", "private_key", "AccessKey", "credentials", "Set-Cookie", "passphrase"])
def test_secrets_are_told_by_their_name(name: str) -> None:
    assert redact({name: CANARY, "headers": [(name, CANARY)]}) == {name: REDACTED, "headers": [[name, REDACTED]]}
    assert hide_in({name: CANARY}) == {name: REDACTED}
    assert redact({"x" * 200 + name: CANARY}) == {"x" * 200 + name: REDACTED}


def test_names_are_texts_too() -> None:
    assert redact({f"password={CANARY}": 1, "a\nb": 2}) == {f"password={REDACTED}": REDACTED, "a\\u000ab": 2}


class _Failing(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError


def test_what_can_not_be_looked_at_is_named_by_its_type() -> None:
    assert redact({"a": _Failing(x=1), "b": 2}) == {"a": "<_Failing>", "b": 2}


def test_what_is_wide_and_deep_is_looked_at_in_part() -> None:
    wide: Any = "x"
    for _ in range(12):
        wide = [wide] * 1_000

    assert len(json.dumps(redact(wide, depth=12))) < 100_000


@pytest.mark.parametrize(
    "part", ["token", "token_", "bearer ", "://a:", "invalid input ", "password='", "eyJ", "LINE 1:"]
)
def test_no_text_takes_long(part: str) -> None:
    text = part * (4_000 // len(part))
    begun = time.thread_time()
    for _ in range(10):
        hide(text)

    assert time.thread_time() - begun < 1
