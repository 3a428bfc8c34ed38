"""The registry page says what the code declares."""

import io
import json
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from telemetry import metrics

PAGE = settings.PROJECT_DIR / "docs" / "metrics.md"
NOT_OURS = metrics.counter("test_of_a_test_total", "Declared by no application.")


def output(**options: str) -> str:
    stream = io.StringIO()
    call_command("telemetry_metrics", stdout=stream, **options)
    return stream.getvalue()


def test_the_page_in_docs_is_what_the_code_declares() -> None:
    call_command("telemetry_metrics", check=str(PAGE), stdout=io.StringIO())


def test_a_page_that_says_something_else_fails(tmp_path: Path) -> None:
    page = tmp_path / "metrics.md"
    with pytest.raises(CommandError, match="telemetry_metrics --format markdown"):
        call_command("telemetry_metrics", check=str(page))
    page.write_text(PAGE.read_text().replace("counter", "gauge", 1))
    with pytest.raises(CommandError, match="isn't what the code declares"):
        call_command("telemetry_metrics", check=str(page))


def test_a_family_is_listed_with_all_that_is_declared_of_it() -> None:
    found = {family["name"]: family for family in json.loads(output(format="json"))}

    duration = found["http_server_request_duration_seconds"]
    assert duration["type"] == "histogram"
    assert duration["unit"] == "seconds"
    assert duration["labels"] == ["http_request_method", "http_route", "http_response_status_code", "error_type"]
    assert duration["buckets"] == list(metrics.HTTP_BUCKETS)
    assert duration["help"]
    assert {"celery_task_sent_total", "websocket_server_messages_total", "chat_messages_total"} <= found.keys()
    assert "test_of_a_test_total" not in found


def test_text_is_for_people() -> None:
    text = output()

    assert "chat_messages_total  (counter)" in text
    assert "labels: room" in text


def test_the_written_page_passes_its_own_check(tmp_path: Path) -> None:
    page = tmp_path / "metrics.md"
    page.write_text(output(format="markdown"))

    assert "is what the code declares" in output(check=str(page))
