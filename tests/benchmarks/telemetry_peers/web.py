"""HTTP over WSGI and ASGI: a server for each variant, and persistent connections that each have a request under way."""

import itertools
import re
import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from urllib.request import urlopen

from environment import Environment, free_port, is_listening, pause, processor_seconds, wait_until
from evidence import lines_with, spans_of, total_of
from samples import Evidence, Sample, quantile_ms
from variants import parts_of

CONNECTIONS = 16
THREADS = 4  # as the platform's web process has
ROWS = 1_000
_PATIENCE_SECONDS = 20
SETTLE_SECONDS = 0.7  # exporters put off no more than half a second
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Load:
    """Persistent connections, each with one request under way at any time."""

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self._port = port
        self._requests = itertools.cycle(requests)

    def run(self, seconds: float) -> tuple[list[float], float]:
        """Ask for so many seconds, and wait for the last answers; return their latencies and the time, in seconds."""
        with ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            # New ones for each turn: a server closes what idles.
            connections = [
                stack.enter_context(socket.create_connection(("127.0.0.1", self._port), timeout=_PATIENCE_SECONDS))
                for _ in range(CONNECTIONS)
            ]
            for one in connections:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(one, selectors.EVENT_READ)
            return self._ask(connections, selector, seconds)

    def _ask(
        self, connections: list[socket.socket], selector: selectors.BaseSelector, seconds: float
    ) -> tuple[list[float], float]:
        clock, following, select = time.perf_counter, self._requests.__next__, selector.select
        latencies: list[float] = []
        sent: dict[socket.socket, float] = {}
        received = dict.fromkeys(connections, b"")
        begun = clock()
        deadline = begun + seconds
        for one in connections:
            sent[one] = clock()
            one.sendall(following())
        waiting = len(connections)
        while waiting:
            events = select(_PATIENCE_SECONDS)
            if not events:
                raise LoadError(f"answered nothing for {_PATIENCE_SECONDS} s")
            for key, _ in events:
                one: socket.socket = key.fileobj  # type: ignore[assignment]
                answer = received[one] + one.recv(65_536)
                if not is_whole(answer):
                    received[one] = answer
                    continue
                now = clock()
                received[one] = b""
                latencies.append(now - sent[one])
                if now < deadline:
                    sent[one] = clock()
                    one.sendall(following())
                else:
                    waiting -= 1
        return latencies, clock() - begun


class LoadError(Exception):
    """The server didn't answer as it must; the message says what it did instead."""


def is_whole(answer: bytes) -> bool:
    """Whether an answer has come to its end.

    Raises LoadError: it isn't a 200.
    """
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        if not answer:
            raise LoadError("closed a connection")
        return False
    if not answer.startswith(b"HTTP/1.1 200"):
        raise LoadError(f"answered {answer[:500].decode(errors='replace')}")
    length = _LENGTH.search(answer, 0, end)
    assert length
    return len(answer) >= end + 4 + int(length[1])


class Web:
    """The server of one variant."""

    def __init__(self, environment: Environment, variant: str, work: str) -> None:
        self.variant, self._work, self._environment = variant, work, environment
        self._port = free_port()
        interface = "asgi" if work == "http-asgi" else "wsgi"
        threads = (
            ()
            if interface == "asgi"
            else ("--blocking-threads", str(THREADS), "--blocking-threads-idle-timeout", "600")
        )
        self._process = environment.start(
            variant,
            work,
            [
                *("-m", "granian", f"shop.{interface}:application", "--interface", interface, "--workers", "1"),
                *("--host", "127.0.0.1", "--port", str(self._port), *(threads if interface == "wsgi" else ())),
                *("--no-ws", "--no-access-log", "--log-level", "warning"),
            ],
        )
        wait_until(lambda: is_listening(self._port), variant, self._process)
        self._units = 0
        self._load = Load(self._port, [self._request(number) for number in range(1, ROWS + 1)])

    def _request(self, number: int) -> bytes:
        method, path = ("POST", "restock/") if self._work == "post" else ("GET", "")
        headers = "Host: 127.0.0.1\r\nUser-Agent: bench\r\n" + ("Content-Length: 0\r\n" if method == "POST" else "")
        return f"{method} /items/{number}/{path} HTTP/1.1\r\n{headers}\r\n".encode()

    def turn(self, seconds: float) -> Sample:
        """Answer for so many seconds."""
        before = processor_seconds(self._process)
        try:
            latencies, elapsed = self._load.run(seconds)
        except LoadError as error:
            said = "\n".join(self._process.last_lines)
            raise SystemExit(f"{self.variant} {error}.\n{said}") from None
        pause(SETTLE_SECONDS)
        processor = processor_seconds(self._process) - before
        self._units += len(latencies)
        return Sample(
            rate=len(latencies) / elapsed,
            processor_us=processor / len(latencies) * 1e6,
            p50_ms=quantile_ms(latencies, 0.5),
            p99_ms=quantile_ms(latencies, 0.99),
        )

    def evidence(self) -> Evidence:
        """Return what the variant told of all turns."""
        parts = parts_of(self.variant, self._work)
        lines = self._environment.lines_of(self.variant, self._work)
        found = Evidence(self._units)
        metrics = ""
        if parts & {"telemetry", "prometheus"}:
            with urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=30) as answer:
                metrics = answer.read().decode()
        if "telemetry" in parts:
            found.lines = None if self.variant == "ours_no_line" else lines_with(lines, '"http.request"', "items/")
            found.counted = total_of(metrics, "http_server_request_duration_seconds_count", 'http_route="/items/')
        if "structlog" in parts:
            found.lines = lines_with(lines, '"request_finished"', "items/")
        if "prometheus" in parts:
            name = "django_http_requests_latency_seconds_by_view_method_count"
            found.counted = total_of(metrics, name, 'view="shop.views')
        found.spans = spans_of(self._environment, self.variant, self._work, metrics)
        if self._work == "post":
            self._hold_changes()
        return found

    def _hold_changes(self) -> None:
        """Hold that each change was made, and captured once by the library that captures."""
        with self._environment.superuser(self.variant, self._work) as superuser:
            changes = superuser.execute("SELECT sum(stock) - count(*) FROM shop_item").fetchone()
            tables = {"audit": "audit_event WHERE action LIKE '%item.updated'", "auditlog": "auditlog_logentry"}
            for part in parts_of(self.variant, self._work) & set(tables):
                events = superuser.execute(f"SELECT count(*) FROM {tables[part]}").fetchone()
                assert events
                if events[0] != self._units:
                    raise SystemExit(f"{self.variant} wrote {events[0]:,} events for {self._units:,} changes.")
        assert changes
        if changes[0] != self._units:
            raise SystemExit(f"{self.variant} made {changes[0]:,} changes for {self._units:,} requests.")
