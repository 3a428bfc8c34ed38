"""Many WebSockets of one process that only listen, as cheap as they can be, so that the server is what is measured."""

import base64
import selectors
import socket
import time
from collections.abc import Callable, Iterable

_KEY = base64.b64encode(b"0123456789abcdef").decode()


class Listener:
    """One open socket. `frames` are the texts that have come and weren't taken yet."""

    def __init__(self, port: int, path: str, cookie: str = "") -> None:
        self.frames: list[bytes] = []
        self._buffer = b""
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        cookies = f"Cookie: {cookie}\r\n" if cookie else ""
        self.connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n{cookies}"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {_KEY}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while b"\r\n\r\n" not in self._buffer:
            if not (data := self.connection.recv(65_536)):
                raise SystemExit(f"{path} was closed: {self._buffer[:300]!r}")
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise SystemExit(f"{path} answered {head[:300].decode(errors='replace')}")
        self._parse()

    def read(self) -> None:
        """Take in what has come."""
        data = self.connection.recv(1_048_576)
        if not data:
            raise SystemExit("The server has closed a socket.")
        self._buffer += data
        self._parse()

    def wait_for(self, marker: bytes, seconds: float = 30.0) -> bytes:
        """Return the first frame that holds `marker`; what came ahead of it is forgotten."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            while self.frames:
                frame = self.frames.pop(0)
                if marker in frame:
                    return frame
            self.read()
        raise SystemExit(f"No {marker!r} within {seconds:.0f} s.")

    def close(self) -> None:
        self.connection.close()

    def _parse(self) -> None:
        while len(self._buffer) >= 2:
            kind, length, begin = self._buffer[0] & 0x0F, self._buffer[1] & 0x7F, 2
            if length == 126:
                length, begin = int.from_bytes(self._buffer[2:4], "big"), 4
            elif length == 127:
                length, begin = int.from_bytes(self._buffer[2:10], "big"), 10
            if len(self._buffer) < begin + length:
                return
            payload, self._buffer = self._buffer[begin : begin + length], self._buffer[begin + length :]
            if kind == 1:
                self.frames.append(payload)
            elif kind == 9:  # a ping: answered, masked by zeros
                self.connection.sendall(b"\x8a" + bytes([0x80 | len(payload)]) + bytes(4) + payload)
            elif kind == 8:
                raise SystemExit(f"The server closes: {payload[:2].hex()} {payload[2:]!r}")


def latencies(
    listeners: Iterable[Listener], publish: Callable[[bytes], None], *, rounds: int, pause_seconds: float = 0.02
) -> list[float]:
    """Publish `rounds` texts, each when all have heard the one before; return the seconds of each delivery."""
    selector = selectors.DefaultSelector()
    everybody = list(listeners)
    for listener in everybody:
        selector.register(listener.connection, selectors.EVENT_READ, listener)
    found: list[float] = []
    for number in range(rounds):
        marker = f"mark-{number:06}-".encode()
        left = len(everybody)
        begun = time.perf_counter()
        publish(marker)
        while left:
            events = selector.select(20)
            if not events:
                raise SystemExit(f"{left} sockets didn't hear it.")
            for key, _ in events:
                listener: Listener = key.data
                listener.read()
                now = time.perf_counter()
                heard = sum(marker in frame for frame in listener.frames)
                listener.frames.clear()
                left -= heard
                found += [now - begun] * heard
        selector.select(pause_seconds)
    selector.close()
    return found
