"""WebSockets: a server for each variant, 200 sockets that listen, and one that speaks when all have heard."""

import selectors
import socket
import time
from urllib.request import urlopen

from environment import Environment, free_port, is_listening, pause, processor_seconds, wait_until
from evidence import spans_of
from samples import Evidence, Sample, quantile_ms
from variants import parts_of

LISTENERS = 200
IN_FLIGHT = 2  # broadcasts: enough to keep the server at work, few enough for latencies to mean something
SETTLE_SECONDS = 0.7
_TEXT_BYTES = 100  # a frame with fewer than 126 has a header of two bytes
_FRAME_BYTES = 2 + _TEXT_BYTES


class Broadcasts:
    """The server of one variant, and its sockets."""

    def __init__(self, environment: Environment, variant: str, work: str) -> None:
        self.variant, self._work, self._environment = variant, work, environment
        self._port = free_port()
        self._process = environment.start(
            variant,
            work,
            [
                *("-m", "uvicorn", "shop.sockets:application", "--host", "127.0.0.1", "--port", str(self._port)),
                *("--lifespan", "off", "--no-access-log", "--log-level", "warning"),
                *("--ws-ping-interval", "1000000"),  # nobody here answers pings
            ],
        )
        wait_until(lambda: is_listening(self._port), variant, self._process)
        self._selector = selectors.DefaultSelector()
        self._received: dict[socket.socket, bytes] = {}
        for _ in range(LISTENERS):
            listener = self._open("/ws/listen/")
            self._selector.register(listener, selectors.EVENT_READ)
            self._received[listener] = b""
        self._speaker = self._open("/ws/say/")
        self._said = 0
        self._sent: dict[int, float] = {}
        self._left: dict[int, int] = {}  # how many haven't heard it yet

    def turn(self, seconds: float) -> Sample:
        """Speak for so many seconds, each time that all have heard what was said before."""
        before = processor_seconds(self._process)
        latencies, elapsed = self._speak(seconds)
        pause(SETTLE_SECONDS)
        processor = processor_seconds(self._process) - before
        return Sample(
            rate=len(latencies) / elapsed,
            processor_us=processor / len(latencies) * 1e6,
            p50_ms=quantile_ms(latencies, 0.5),
            p99_ms=quantile_ms(latencies, 0.99),
        )

    def evidence(self) -> Evidence:
        """Return what the variant told of all turns; one broadcast is one piece of work."""
        metrics = ""
        if "telemetry" in parts_of(self.variant, self._work):
            with urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=30) as answer:
                metrics = answer.read().decode()
        return Evidence(self._said, spans_of(self._environment, self.variant, self._work, metrics))

    def _speak(self, seconds: float) -> tuple[list[float], float]:
        clock, select, received = time.perf_counter, self._selector.select, self._received
        latencies: list[float] = []
        begun = clock()
        deadline = begun + seconds
        for _ in range(IN_FLIGHT):
            self._say()
        while self._left:
            events = select(20)
            if not events:
                raise SystemExit(f"{self.variant} left {sum(self._left.values()):,} deliveries out.")
            for key, _ in events:
                one: socket.socket = key.fileobj  # type: ignore[assignment]
                data = received[one] + one.recv(65_536)
                now = clock()
                while len(data) >= _FRAME_BYTES:
                    number = int(data[2:12])
                    data = data[_FRAME_BYTES:]
                    latencies.append(now - self._sent[number])
                    self._left[number] -= 1
                    if not self._left[number]:
                        del self._left[number], self._sent[number]
                        if now < deadline:
                            self._say()
                received[one] = data
        return latencies, clock() - begun

    def _say(self) -> None:
        self._said += 1
        self._left[self._said] = LISTENERS
        text = f"{self._said:010d}".ljust(_TEXT_BYTES, ".").encode()
        self._sent[self._said] = time.perf_counter()
        # Masked, as a client's frames must be; a mask of zeros changes nothing.
        self._speaker.sendall(b"\x81" + bytes([0x80 | _TEXT_BYTES]) + bytes(4) + text)

    def _open(self, path: str) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", self._port), timeout=20)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += one.recv(1)
        if not answer.startswith(b"HTTP/1.1 101"):
            raise SystemExit(f"{self.variant} answered {answer[:300].decode(errors='replace')}")
        return one
