"""Arguments as a message, and as text for people."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from tasks import messages


def test_what_is_frozen_thaws_to_the_same() -> None:
    args = ["x", 1, None, uuid.UUID(int=1), Decimal("1.50"), datetime(2026, 1, 2, tzinfo=UTC)]
    frozen = messages.freeze(args, {"a": [1, {"b": 2}]}, {"queue": "default", "priority": None, "producer": object()})
    assert messages.thaw(frozen) == (args, {"a": [1, {"b": 2}]}, {"queue": "default"})


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError):
        messages.freeze([object()], {}, {})


def test_secrets_are_masked_and_long_values_cut() -> None:
    summary = messages.summarise(["x" * 500], {"password": "hunter2", "deep": {"api_key": "k", "n": list(range(99))}})
    assert len(summary["args"][0]) == 201
    text = str(summary)
    assert "hunter2" not in text
    assert "'k'" not in text
    assert len(summary["kwargs"]["deep"]["n"]) == 20


@pytest.mark.parametrize("value", ["\x00", "\ud800", object(), {1: {2: {3: {4: {5: 6}}}}}, b"\xff"])
def test_anything_can_be_summarised(value: Any) -> None:
    assert "\x00" not in str(messages.summarise([value], {})).encode().decode()


def test_relative_times_become_points_in_time() -> None:
    before = timezone.now()
    fixed = messages.with_fixed_times({"countdown": 60, "expires": 120, "queue": "q"})
    assert "countdown" not in fixed
    assert timedelta(seconds=59) < fixed["eta"] - before < timedelta(seconds=61)
    assert fixed["expires"] > fixed["eta"]
    assert messages.as_time("2026-01-02T03:04:05+00:00") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert messages.as_time(None) is None
