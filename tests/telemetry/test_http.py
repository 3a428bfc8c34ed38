"""Each way that a request can end gives exactly one span, one line and one count, and leaves nothing behind."""

import asyncio
import json
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.test.client import AsyncRequestFactory
from opentelemetry.instrumentation.django.middleware.otel_middleware import _DjangoMiddleware

from telemetry.context import current
from telemetry.http.middleware import TelemetryMiddleware
from telemetry.metrics import exposed_registry
from telemetry.tracing.work import running
from tests.telemetry import views
from tests.telemetry.conftest import Finished

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.telemetry.views")]


def sample(name: str, **labels: str) -> float:
    return exposed_registry().get_sample_value(name, labels) or 0


def count_of(method: str, route: str, status: str, error_type: str = "") -> float:
    return sample(
        "http_server_request_duration_seconds_count",
        http_request_method=method,
        http_route=route,
        http_response_status_code=status,
        error_type=error_type,
    )


def active(method: str = "GET") -> float:
    return sample("http_server_active_requests", http_request_method=method)


def servers(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [span for span in spans if span["kind"] == "server"]


def lines(captured: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in captured.splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == "http.request"]


async def soon() -> None:
    """Let what is ready to run come to where it waits."""
    for _ in range(5):
        await asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(None, lambda: None))


@pytest.fixture(autouse=True)
def nothing_is_left() -> Any:
    before = active()
    yield
    assert active() == before
    assert current().request_id == ""
    assert running() is None


def test_a_route_is_its_pattern_and_never_its_path(client: Client, finished_spans: Finished) -> None:
    before = count_of("GET", "/t/fine/<int:number>/", "200")
    client.get("/t/fine/421/")
    (server,) = servers(finished_spans())

    assert server["name"] == "GET /t/fine/<int:number>/"
    assert server["attributes"]["http.route"] == "/t/fine/<int:number>/"
    assert server["attributes"]["url.path"] == "/t/fine/421/"
    assert count_of("GET", "/t/fine/<int:number>/", "200") == before + 1


def test_a_view_that_raises_is_one_error(
    client: Client, finished_spans: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    client.raise_request_exception = False
    before = count_of("GET", "/t/broken/", "500", "ValueError")
    client.get("/t/broken/")
    (server,) = servers(finished_spans())
    (line,) = lines(capsys.readouterr().out)

    assert (server["status"], server["attributes"]["error.type"]) == ("error", "ValueError")
    assert [event["name"] for event in server["events"]].count("exception") == 1
    assert (line["level"], line["status"], line["error_type"]) == ("error", 500, "ValueError")
    assert count_of("GET", "/t/broken/", "500", "ValueError") == before + 1


def test_a_missing_page_is_no_error_and_has_no_route(client: Client, finished_spans: Finished) -> None:
    before = count_of("GET", "", "404")
    client.get("/t/no/such/page/")
    (server,) = servers(finished_spans())

    assert (server["name"], server["status"]) == ("GET", "ok")
    assert count_of("GET", "", "404") == before + 1


def test_a_method_that_nobody_knows_is_no_label(rf: RequestFactory, finished_spans: Finished) -> None:
    TelemetryMiddleware(views.fine)(rf.generic("CANARY", "/t/fine/"))
    (server,) = servers(finished_spans())

    assert server["attributes"]["http.request.method"] == "_OTHER"
    assert "CANARY" not in json.dumps(server)


def test_an_answer_of_a_middleware_in_between_is_told_as_any_other(
    rf: RequestFactory, finished_spans: Finished
) -> None:
    """As in maintenance mode: no view is found, and a 503 is an error of ours."""

    def closed(request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=503, headers={"Retry-After": "60"})

    before = count_of("GET", "", "503", "503")
    answer = TelemetryMiddleware(closed)(rf.get("/t/fine/"))
    (server,) = servers(finished_spans())

    assert answer["X-Request-ID"]
    assert (server["status"], server["attributes"]["error.type"]) == ("error", "503")
    assert count_of("GET", "", "503", "503") == before + 1


async def test_an_async_view_is_told_as_a_sync_one(async_client: AsyncClient, finished_spans: Finished) -> None:
    answer = await async_client.get("/t/fine/")
    (server,) = servers(finished_spans())

    assert answer["traceparent"].split("-")[1:3] == [server["trace_id"], server["span_id"]]
    assert server["attributes"]["http.response.status_code"] == 200


async def test_a_client_that_disconnects_ends_the_span_and_the_count(
    async_rf: AsyncRequestFactory, finished_spans: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    before = active()
    middleware = TelemetryMiddleware(views.waiting)
    serving = asyncio.ensure_future(middleware(async_rf.get("/t/waiting/")))
    await soon()
    assert active() == before + 1
    serving.cancel()  # as Django's ASGI handler does when the client has gone
    with pytest.raises(asyncio.CancelledError):
        await serving
    (server,) = servers(finished_spans())

    assert server["attributes"]["http.response.status_code"] == 499
    assert server["attributes"]["error.type"] == "CancelledError"
    assert [line["status"] for line in lines(capsys.readouterr().out)] == [499]


def test_what_a_stream_does_belongs_to_its_request(client: Client, finished_spans: Finished) -> None:
    answer = client.get("/t/streaming/")
    assert servers(finished_spans()) == []
    assert b"".join(answer.streaming_content) == b"onetwo"
    spans = finished_spans()
    (server,) = servers(spans)
    (statement,) = [span for span in spans if span["name"] == "SELECT auth_group"]

    assert statement["parent_id"] == server["span_id"]
    assert server["end_ns"] >= statement["end_ns"]


def test_a_stream_that_breaks_is_an_error_though_its_status_was_sent(client: Client, finished_spans: Finished) -> None:
    answer = client.get("/t/breaking-stream/")
    with pytest.raises(ValueError, match="broken stream"):
        b"".join(answer.streaming_content)
    (server,) = servers(finished_spans())

    assert server["attributes"]["http.response.status_code"] == 200
    assert (server["status"], server["attributes"]["error.type"]) == ("error", "ValueError")


@pytest.mark.parametrize("chunks_read", [0, 1])
def test_a_client_that_leaves_a_stream_is_no_error(
    rf: RequestFactory, finished_spans: Finished, chunks_read: int
) -> None:
    response: Any = TelemetryMiddleware(views.streaming)(rf.get("/t/streaming/"))
    chunks = iter(response.streaming_content)
    for _ in range(chunks_read):
        next(chunks)
    response.close()
    chunks.close() if hasattr(chunks, "close") else None
    (server,) = servers(finished_spans())

    assert server["status"] == "ok"


async def test_a_client_that_leaves_an_async_stream_is_no_error(
    async_rf: AsyncRequestFactory, finished_spans: Finished
) -> None:
    response = await TelemetryMiddleware(views.async_streaming)(async_rf.get("/t/async-streaming/"))

    async def send() -> None:
        async for _ in response.streaming_content:
            pass

    sending = asyncio.ensure_future(send())
    await soon()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    (server,) = servers(finished_spans())

    assert server["status"] == "ok"
    assert server["attributes"]["client.disconnected"] is True


def test_developers_see_where_the_time_went(client: Client, settings: Any) -> None:
    with override_settings(TELEMETRY_SERVER_TIMING=True):
        from telemetry import conf

        conf.shows_server_timing.cache_clear()
        answer = client.get("/t/repeating/3/")
        conf.shows_server_timing.cache_clear()

    parts = dict(part.split(";", 1) for part in answer["Server-Timing"].split(", "))
    assert float(parts["total"].removeprefix("dur=")) >= float(parts["db"].split(";")[0].removeprefix("dur=")) > 0
    assert 'desc="3 statements"' in parts["db"]


def test_strangers_do_not_see_where_the_time_went(client: Client) -> None:
    assert "Server-Timing" not in client.get("/t/fine/").headers


def test_the_hooks_of_opentelemetrys_instrumentor_are_called(
    rf: RequestFactory, finished_spans: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_request(span: Any, request: HttpRequest) -> None:
        span.set_attribute("shop.tenant", "acme")

    def on_response(span: Any, request: HttpRequest, response: HttpResponseBase) -> None:
        span.set_attribute("shop.bytes", len(response.content))  # type: ignore[attr-defined]

    monkeypatch.setattr(_DjangoMiddleware, "_otel_request_hook", staticmethod(on_request))
    monkeypatch.setattr(_DjangoMiddleware, "_otel_response_hook", staticmethod(on_response))
    TelemetryMiddleware(views.fine)(rf.get("/t/fine/"))
    (server,) = servers(finished_spans())

    assert (server["attributes"]["shop.tenant"], server["attributes"]["shop.bytes"]) == ("acme", 4)
