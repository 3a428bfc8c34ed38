"""What the tests of exports share."""

import json
from typing import Any
from unittest import mock

from django.db import connection

from audit.models import Event
from tests.audit.everything.models import Tag

URL = "/api/audit/export/"
LONG = "/api/audit/exports/"
RIGHTS = ("view_event", "export_event")
TAGS = {"action": "everything.tag.created"}


def body(answer: Any) -> bytes:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content)


def lines(answer: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body(answer).splitlines()]


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["changes"]["name"][1] for event in events]


def recorded(verb: str) -> Event:
    return Event.objects.filter(action=f"audit.ledger.{verb}").latest("id")


def make_tags(count: int, prefix: str = "tag") -> list[str]:
    made = [f"{prefix} {number}" for number in range(count)]
    Tag.objects.bulk_create([Tag(name=name) for name in made])
    return made


def go_away(answer: Any) -> None:
    """Close an answer as a server does whose client is gone; the test's connection stays."""
    with mock.patch.object(connection, "close_if_unusable_or_obsolete"):
        answer.close()


def fail(error: Exception) -> Any:
    raise error
