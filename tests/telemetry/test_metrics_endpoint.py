"""`/metrics` answers scrapers alone, in the form that they ask for."""

import gzip

import pytest
from django.test import Client
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from telemetry import metrics

SCRAPES = metrics.counter("test_endpoint_total", "Counted by a test.")
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,text/plain;q=0.2,*/*;q=0.1"
)


def test_a_scraper_of_openmetrics_gets_exemplars(client: Client) -> None:
    SCRAPES.inc(1, {"trace_id": "abc"})

    answer = client.get("/metrics", headers={"Accept": PROMETHEUS})

    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    (sample,) = [s for m in parse_openmetrics(answer.text) for s in m.samples if s.name == "test_endpoint_total"]
    assert sample.exemplar is not None
    assert sample.exemplar.labels == {"trace_id": "abc"}


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "text/plain", "text/html"],
)
def test_whoever_else_asks_gets_the_plain_format(client: Client, accept: str) -> None:
    answer = client.get("/metrics", headers={"Accept": accept})

    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "test_endpoint_total" in {s.name for m in parse_plain(answer.text) for s in m.samples}


@pytest.mark.parametrize(
    ("accepted", "is_zipped"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("", False), ("gzip;q=0", False), ("br", False), ("gzip;q=x", False)],
)
def test_an_answer_is_zipped_for_who_asks_for_it(client: Client, accepted: str, is_zipped: bool) -> None:
    answer = client.get("/metrics", headers={"Accept-Encoding": accepted})

    assert answer.headers.get("Content-Encoding") == ("gzip" if is_zipped else None)
    body = gzip.decompress(answer.content) if is_zipped else answer.content
    assert b"test_endpoint_total" in body
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert {"Accept", "Accept-Encoding"} <= {name.strip() for name in answer.headers["Vary"].split(",")}


def test_head_tells_the_length_and_sends_nothing(client: Client) -> None:
    answer = client.head("/metrics")

    assert answer.status_code == 200
    assert answer.content == b""
    assert int(answer.headers["Content-Length"]) > 1_000


@pytest.mark.django_db  # the ledger records refusals
def test_strangers_and_other_methods_are_refused(client: Client) -> None:
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 403
    assert client.head("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 403
    for through in ("203.0.113.9", "203.0.113.9, 127.0.0.1", "127.0.0.1, 203.0.113.9", "what"):
        assert client.get("/metrics", headers={"X-Forwarded-For": through}).status_code == 403
    assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 200
    answer = client.post("/metrics")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
