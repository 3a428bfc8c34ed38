"""A collector that counts: takes OTLP over HTTP, and tells at `/counts` how many spans came from each service."""

import gzip
import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_waiting: list[bytes] = []  # bodies are read when they're asked for, not while something is measured
_counts: Counter[str] = Counter()


class Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/refusing"):
            self._answer(b"", 503)
            return
        if self.path.startswith("/slow"):
            threading.Event().wait(3)
        _waiting.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self._answer(b"")

    def do_GET(self) -> None:
        while _waiting:
            for resource in ExportTraceServiceRequest.FromString(_waiting.pop()).resource_spans:
                names = {one.key: one.value.string_value for one in resource.resource.attributes}
                _counts[names["service.name"]] += sum(len(scope.spans) for scope in resource.scope_spans)
        self._answer(json.dumps(_counts).encode())

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Sink).serve_forever()
