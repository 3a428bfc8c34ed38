"""Each call out over HTTP is one span and one duration, whichever library makes it, and however it ends."""

import asyncio
import http.client
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from contextvars import copy_context
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import requests
from opentelemetry.instrumentation.utils import suppress_instrumentation

from telemetry.http import calls
from telemetry.metrics import exposed_registry
from telemetry.tracing import traceparent
from telemetry.tracing.work import Work
from tests.telemetry.conftest import working
from tests.telemetry.http_libraries import (
    LIBRARIES,
    Get,
    with_async_httpx,
    with_httpx,
    with_requests,
    with_urllib,
    with_urllib3,
)

Finished = Callable[[], list[dict[str, Any]]]
TOKEN = "xoxb1234567890ABCDEFabcdef"


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.release = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers))
        path = self.path.partition("?")[0]
        if path == "/silent":
            self.server.release.wait(60)
        status = {"/redirect": 302, "/elsewhere": 302, "/broken": 500, "/missing": 404}.get(path, 200)
        self.send_response(status)
        if path == "/redirect":
            self.send_header("Location", "/target")
        if path == "/elsewhere":
            self.send_header("Location", f"http://localhost:{self.server.server_port}/target")
        self.send_header("Content-Length", "2")
        self.end_headers()
        if path == "/streamed":
            self.wfile.flush()
            self.server.release.wait(60)
        self.wfile.write(b"ok")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        running.release.set()
        running.shutdown()
        thread.join(60)


@pytest.fixture
def calls_of(finished_spans: Finished) -> Callable[[Work], list[dict[str, Any]]]:
    """Return a function that gives the spans of the calls of a piece of work."""

    def calls_of(work: Work) -> list[dict[str, Any]]:
        return [span for span in finished_spans() if span["parent_id"] == work.span_id]

    return calls_of


each_library = pytest.mark.parametrize("get", LIBRARIES)
each_that_follows = pytest.mark.parametrize("get", LIBRARIES[1:])


def durations(**labels: str) -> float:
    """How many calls of these labels were timed."""
    return exposed_registry().get_sample_value("http_client_request_duration_seconds_count", labels) or 0


@each_library
def test_a_call_is_one_span_of_the_running_work(get: Get, server: Server, calls_of: Any) -> None:
    with working() as work:
        assert get(f"{server.url}/page") == 200
    (span,) = calls_of(work)

    assert (span["name"], span["kind"], span["status"]) == ("GET", "client", "ok")
    assert span["attributes"] == {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": server.server_port,
        "url.full": f"{server.url}/page",
        "http.response.status_code": 200,
    }
    assert work.calls == 1
    assert work.call_ns > 0


@each_library
@pytest.mark.parametrize(("path", "status"), [("/broken", 500), ("/missing", 404)])
def test_an_answer_that_says_no_is_an_error(get: Get, path: str, status: int, server: Server, calls_of: Any) -> None:
    labels = {
        "http_request_method": "GET",
        "server_address": "127.0.0.1",
        "http_response_status_code": str(status),
        "error_type": str(status),
    }
    before = durations(**labels)
    with working() as work:
        assert get(server.url + path) == status
    (span,) = calls_of(work)

    assert span["status"] == "error"
    assert span["attributes"]["error.type"] == str(status)
    assert durations(**labels) == before + 1


@each_library
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_refused_connection_is_an_error(get: Get, scheme: str, free_ports: Any, calls_of: Any) -> None:
    (port,) = free_ports(1)
    with working() as work:
        with pytest.raises(Exception, match=r"refused|attempts failed"):
            get(f"{scheme}://127.0.0.1:{port}/page")
    (span,) = calls_of(work)

    assert span["status"] == "error"
    assert span["attributes"]["url.full"] == f"{scheme}://127.0.0.1:{port}/page"
    assert span["attributes"]["error.type"] in {"ConnectionRefusedError", "NewConnectionError", "ConnectError"}
    assert "http.response.status_code" not in span["attributes"]


@pytest.mark.parametrize(
    ("get", "error_type"),
    [
        (lambda url: http_get_in_a_moment(url), "TimeoutError"),
        (lambda url: requests.get(url, timeout=0.2).status_code, "TimeoutError"),
        (lambda url: httpx.get(url, timeout=0.2, trust_env=False).status_code, "ReadTimeout"),
    ],
)
def test_a_server_that_doesnt_answer_is_an_error(get: Get, error_type: str, server: Server, calls_of: Any) -> None:
    with working() as work:
        with pytest.raises(Exception, match="timed out"):
            get(f"{server.url}/silent")
    (span,) = calls_of(work)

    assert span["status"] == "error"
    assert span["attributes"]["error.type"] == error_type


def http_get_in_a_moment(url: str) -> int:
    return int(urllib.request.urlopen(url, timeout=0.2).status)  # noqa: S310


@each_that_follows
def test_each_hop_of_a_redirect_is_one_call(get: Get, server: Server, calls_of: Any) -> None:
    with working() as work:
        assert get(f"{server.url}/redirect") == 200

    assert [
        (span["attributes"]["url.full"], span["attributes"]["http.response.status_code"]) for span in calls_of(work)
    ] == [(f"{server.url}/redirect", 302), (f"{server.url}/target", 200)]


def test_a_connection_that_is_kept_makes_many_calls(server: Server, calls_of: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    with working() as work, closing(connection):
        for number in range(3):
            connection.request("POST", f"/{number}", body=b"data")
            connection.getresponse().read()

    assert [span["attributes"]["url.full"] for span in calls_of(work)] == [f"{server.url}/{n}" for n in range(3)]
    assert {span["attributes"]["http.request.method"] for span in calls_of(work)} == {"POST"}


def test_calls_at_the_same_time_stay_apart(server: Server, calls_of: Any) -> None:
    async def get_all() -> None:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            await asyncio.gather(*(client.get(f"{server.url}/{number}") for number in range(10)))

    with working() as work:
        with ThreadPoolExecutor(5) as threads:
            contexts = [copy_context() for _ in range(10)]
            statuses = threads.map(lambda context: context.run(with_requests, f"{server.url}/a"), contexts)
        asyncio.run(get_all())

    assert list(statuses) == [200] * 10
    assert work.calls == 20
    urls = [span["attributes"]["url.full"] for span in calls_of(work)]
    assert sorted(urls) == sorted([f"{server.url}/a"] * 10 + [f"{server.url}/{number}" for number in range(10)])


def test_a_call_that_is_cancelled_is_told_of(server: Server, calls_of: Any, wait_until: Any) -> None:
    async def give_up() -> None:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            calling = asyncio.create_task(client.get(f"{server.url}/silent"))
            await asyncio.to_thread(wait_until, lambda: server.seen)
            calling.cancel()
            with suppress(asyncio.CancelledError):
                await calling

    with working() as work:
        asyncio.run(give_up())
    (span,) = calls_of(work)

    assert span["attributes"]["error.type"] == "CancelledError"


@pytest.mark.parametrize("library", ["http.client", "httpx"])
def test_a_body_that_streams_isnt_timed(library: str, server: Server) -> None:
    with working() as work:
        if library == "httpx":
            with httpx.stream("GET", f"{server.url}/streamed", timeout=60, trust_env=False) as streamed:
                assert work.calls == 1  # though nothing of the body was sent yet
                server.release.set()
                assert streamed.read() == b"ok"
        else:
            with urllib.request.urlopen(f"{server.url}/streamed", timeout=60) as opened:  # noqa: S310
                assert work.calls == 1
                server.release.set()
                assert opened.read() == b"ok"

    assert work.calls == 1


@each_library
def test_neither_credentials_nor_values_nor_tokens_are_told(get: Get, server: Server, finished_spans: Finished) -> None:
    url = f"{server.url}/hooks/{TOKEN}?key=canary-1&page=canary-2&canary-3"
    if get in (with_requests, with_urllib3, with_httpx, with_async_httpx):
        url = url.replace("http://", "http://canary-4:canary-5@")
    with working():
        assert get(url) == 200

    (span,) = (span for span in finished_spans() if span["kind"] == "client")
    assert span["attributes"]["url.full"] == f"{server.url}/hooks/[redacted]?key=*&page=*&*"
    assert "canary" not in str(finished_spans())
    assert TOKEN not in str(finished_spans())


@each_library
def test_a_stranger_isnt_told_of_our_trace(get: Get, server: Server) -> None:
    with working():
        get(f"{server.url}/page")

    assert [headers["traceparent"] for _path, headers in server.seen] == [None]


@each_library
def test_a_host_that_is_named_gets_the_calls_own_span(get: Get, server: Server, settings: Any, calls_of: Any) -> None:
    settings.TELEMETRY_PROPAGATE_TO = ["127.0.0.1"]
    with working() as work:
        get(f"{server.url}/page")
    (span,) = calls_of(work)
    ((_path, headers),) = server.seen
    told = traceparent.parse(headers["traceparent"])

    assert headers.get_all("traceparent") == [headers["traceparent"]]
    assert told is not None
    assert (f"{told.trace_id:032x}", f"{told.span_id:016x}") == (span["trace_id"], span["span_id"])


@each_that_follows
def test_a_redirect_doesnt_lead_our_trace_to_a_stranger(get: Get, server: Server, settings: Any) -> None:
    settings.TELEMETRY_PROPAGATE_TO = ["127.0.0.1"]
    with working():
        assert get(f"{server.url}/elsewhere") == 200

    assert [bool(headers["traceparent"]) for _path, headers in server.seen] == [True, False]


def test_a_traceparent_of_the_callers_own_stays(server: Server, settings: Any) -> None:
    settings.TELEMETRY_PROPAGATE_TO = ["127.0.0.1"]
    own = f"00-{'a' * 32}-{'b' * 16}-01"
    with working():
        requests.get(f"{server.url}/page", headers={"Traceparent": own}, timeout=60)
        httpx.get(f"{server.url}/page", headers={"Traceparent": own}, trust_env=False)

    assert [headers.get_all("traceparent") for _path, headers in server.seen] == [[own], [own]]


@each_library
def test_telemetrys_own_calls_are_left_alone(get: Get, server: Server, finished_spans: Finished) -> None:
    before = all_durations()
    with working() as work, suppress_instrumentation():
        assert get(f"{server.url}/page") == 200

    assert work.calls == 0
    assert [span["name"] for span in finished_spans()] == ["GET"]
    assert all_durations() == before


def all_durations() -> float:
    families = exposed_registry().collect()
    samples = [sample for family in families for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == "http_client_request_duration_seconds_count")


@each_library
def test_a_call_outside_of_any_work_is_timed_alone(get: Get, server: Server) -> None:
    before = all_durations()

    assert get(f"{server.url}/page") == 200
    assert all_durations() == before + 1


def test_a_hundred_servers_have_labels_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_addresses", {f"{number}.example" for number in range(100)})
    labels = {
        "http_request_method": "_OTHER",
        "server_address": "_OTHER",
        "http_response_status_code": "204",
        "error_type": "",
    }
    before = durations(**labels)
    with working() as work:
        call = calls.begin("PROPPATCH", "https", "one-too-many.example", 443, "/")
        assert call is not None
        call.end(204)
        call.end(204)

    assert durations(**labels) == before + 1
    assert work.calls == 1


def test_a_fault_of_ours_doesnt_reach_the_caller(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("ours")

    before = exposed_registry().get_sample_value("telemetry_faults_total", {"hook": "http_client"}) or 0
    with working() as work:
        with monkeypatch.context() as patched:
            patched.setattr("telemetry.http.calls.Call.__init__", fail)
            assert with_urllib(f"{server.url}/page") == 200
            assert with_httpx(f"{server.url}/page") == 200
        monkeypatch.setattr("telemetry.http.calls._bounded", fail)
        assert with_urllib(f"{server.url}/page") == 200

    assert exposed_registry().get_sample_value("telemetry_faults_total", {"hook": "http_client"}) == before + 3
    assert work.calls == 0


def test_what_isnt_installed_or_used_costs_no_import() -> None:
    program = (
        "import sys; sys.modules['httpx'] = sys.modules['urllib3'] = None\n"
        "from django.conf import settings; settings.configure()\n"
        "from telemetry.http import client; client.connect(); client.connect()\n"
        "print([name for name in ('httpcore', 'requests') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)

    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
