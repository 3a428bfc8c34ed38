"""One pass a request gives it an id, a context, a span, metrics and one line."""

import json
from typing import Any

import pytest
from django.test import AsyncClient, Client, RequestFactory
from prometheus_client import REGISTRY

from telemetry.context import current, is_request_id
from telemetry.http.exchange import client_address
from telemetry.http.middleware import TelemetryMiddleware
from telemetry.metrics import exposed_registry
from tests.telemetry.conftest import Finished

pytestmark = pytest.mark.django_db
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def lines(captured: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.splitlines() if line.startswith("{")]


def test_every_answer_carries_its_id_and_duration(client: Client) -> None:
    answer = client.get("/healthz/live")

    assert is_request_id(answer["X-Request-ID"])
    assert float(answer["X-Request-Duration-Ms"]) >= 0


async def test_the_async_way_does_the_same(async_client: AsyncClient) -> None:
    answer = await async_client.get("/healthz/live")

    assert is_request_id(answer["X-Request-ID"])


def test_an_id_from_a_trusted_peer_is_taken_over(client: Client) -> None:
    answer = client.get("/healthz/live", headers={"X-Request-ID": "given-by-proxy-1"})

    assert answer["X-Request-ID"] == "given-by-proxy-1"


@pytest.mark.parametrize(
    "given", ["x" * 65_536, "forged\r\nSet-Cookie: a=b", "\x1b[31mred-request", "short", "späte-anfrage"]
)
def test_an_id_that_cant_be_trusted_is_replaced(client: Client, given: str) -> None:
    answer = client.get("/healthz/live", headers={"X-Request-ID": given})

    assert answer.status_code == 200
    assert is_request_id(answer["X-Request-ID"])
    assert answer["X-Request-ID"] != given


def test_an_id_from_a_stranger_is_replaced(client: Client) -> None:
    answer = client.get("/healthz/live", headers={"X-Request-ID": "given-by-stranger"}, REMOTE_ADDR="203.0.113.9")

    assert answer["X-Request-ID"] != "given-by-stranger"


def test_the_server_span_joins_a_trusted_trace(client: Client, finished_spans: Finished) -> None:
    answer = client.get("/accounts/login/", headers={"traceparent": TRACEPARENT})
    server = next(span for span in finished_spans() if span["kind"] == "server")

    assert server["trace_id"] == TRACE
    assert answer["traceparent"].split("-")[1] == TRACE
    assert server["name"] == "GET /accounts/login/"
    assert server["request_id"] == answer["X-Request-ID"]
    assert server["attributes"]["http.response.status_code"] == 200


def test_a_strangers_trace_is_linked_but_not_joined(client: Client, finished_spans: Finished) -> None:
    client.get("/accounts/login/", headers={"traceparent": TRACEPARENT}, REMOTE_ADDR="203.0.113.9")
    server = next(span for span in finished_spans() if span["kind"] == "server")

    assert server["trace_id"] != TRACE
    assert server["links"] == [{"trace_id": TRACE, "span_id": "00f067aa0ba902b7"}]


@pytest.mark.parametrize(
    "broken", ["", "garbage", "00-zz-zz-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 9_000]
)
def test_a_broken_traceparent_begins_a_new_trace(client: Client, finished_spans: Finished, broken: str) -> None:
    answer = client.get("/accounts/login/", headers={"traceparent": broken})

    assert answer.status_code == 200
    assert next(span for span in finished_spans() if span["kind"] == "server")["parent_id"] == ""


def test_an_unmatched_path_is_no_label(client: Client) -> None:
    client.get("/no/such/page/canary-path")
    samples = [sample for family in exposed_registry().collect() for sample in family.samples]

    assert not any("canary-path" in value for sample in samples for value in sample.labels.values())
    assert any(sample.labels.get("http_response_status_code") == "404" for sample in samples)


def test_requests_are_counted_by_route(client: Client) -> None:
    labels = {
        "http_request_method": "GET",
        "http_route": "/accounts/login/",
        "http_response_status_code": "200",
        "error_type": "",
    }

    def count() -> float:
        return exposed_registry().get_sample_value("http_server_request_duration_seconds_count", labels) or 0

    before = count()
    client.get("/accounts/login/")

    assert count() == before + 1
    assert REGISTRY is not None


def test_one_canonical_line_a_request(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    answer = client.get("/accounts/login/?password=canary-secret")
    (line,) = [line for line in lines(capsys.readouterr().out) if line["event"] == "http.request"]

    assert (line["method"], line["route"], line["status"]) == ("GET", "/accounts/login/", 200)
    assert line["request_id"] == answer["X-Request-ID"]
    assert line["statements"] >= 0
    assert "canary" not in json.dumps(line)


def test_a_view_that_raises_is_an_error_in_span_and_line(
    finished_spans: Finished, capsys: pytest.CaptureFixture[str], rf: RequestFactory
) -> None:
    def fail(request: Any) -> Any:
        raise ValueError("broken view")

    middleware = TelemetryMiddleware(fail)
    with pytest.raises(ValueError, match="broken view"):
        middleware(rf.get("/broken"))
    server = next(span for span in finished_spans() if span["kind"] == "server")

    assert (server["status"], server["attributes"]["error.type"]) == ("error", "ValueError")
    assert any(line["level"] == "error" and line["status"] == 500 for line in lines(capsys.readouterr().out))


def test_a_streamed_answer_ends_with_its_last_chunk(finished_spans: Finished, rf: RequestFactory) -> None:
    from django.http import StreamingHttpResponse

    seen: list[str] = []

    def chunks() -> Any:
        seen.append(current().request_id)
        yield b"one"
        seen.append(current().request_id)
        yield b"two"

    response = TelemetryMiddleware(lambda request: StreamingHttpResponse(chunks()))(rf.get("/stream"))
    assert [span for span in finished_spans() if span["kind"] == "server"] == []

    assert b"".join(response.streaming_content) == b"onetwo"
    assert len([span for span in finished_spans() if span["kind"] == "server"]) == 1
    assert seen == [response["X-Request-ID"]] * 2


def test_the_context_ends_with_the_request(client: Client) -> None:
    client.get("/healthz/live")

    assert current().request_id == ""


def test_the_client_is_the_nearest_address_that_is_no_proxy_of_ours() -> None:
    assert client_address("127.0.0.1", "6.6.6.6, 203.0.113.9, 127.0.0.1") == "203.0.113.9"
    assert client_address("127.0.0.1", "") == "127.0.0.1"


def test_statements_are_spans_below_the_request_without_their_values(client: Client, finished_spans: Finished) -> None:
    client.post("/accounts/login/", {"username": "canary-user", "password": "canary-password"})
    spans = finished_spans()
    server = next(span for span in spans if span["kind"] == "server")
    statements = [span for span in spans if span["attributes"].get("db.system.name")]

    assert statements
    assert {span["parent_id"] for span in statements} == {server["span_id"]}
    assert "SELECT accounts_user" in {span["name"] for span in statements}
    assert "canary" not in json.dumps(spans)
