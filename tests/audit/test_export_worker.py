"""An export as a file, asked of a live platform and made by its worker."""

import gzip
import hashlib
import json
from typing import Any

import httpx

from audit.models import Event
from tests.audit.exported import LONG, RIGHTS, TAGS, URL, make_tags, names
from tests.audit.readers import token_for, user_with


def test_a_worker_makes_the_file_in_the_name_of_who_asked(live_platform: Any, wait_until: Any) -> None:
    auditor = user_with(*RIGHTS)
    made = make_tags(30)
    with httpx.Client(
        base_url=live_platform.web_url, headers=token_for(auditor, "audit:read", "audit:export"), timeout=60
    ) as browser:
        asked = browser.post(LONG, json={"format": "ndjson", "filters": TAGS})
        assert asked.status_code == 202, asked.text
        url = asked.json()["url"]
        shown = wait_until(lambda: (found := browser.get(url).json())["state"] == "finished" and found, timeout=60)
        packed = browser.get(shown["file"]).content
        streamed = browser.get(URL, params=TAGS)

    assert hashlib.sha256(packed).hexdigest() == shown["sha256"]
    assert names([json.loads(line) for line in gzip.decompress(packed).splitlines()]) == made
    assert [json.loads(line)["id"] for line in streamed.text.splitlines()] == [
        json.loads(line)["id"] for line in gzip.decompress(packed).splitlines()
    ]
    ended = Event.objects.get(action="audit.ledger.exported", object_id=shown["id"])
    assert (ended.origin, ended.operation) == ("task", "audit.run_export")
    assert (ended.actor_type, ended.actor_id) == ("user", str(auditor.pk))
    assert ended.request_id == asked.headers["X-Request-ID"]
