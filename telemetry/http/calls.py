"""One call out over HTTP: a leaf of the running work and a duration, from the request to the answer's headers.

What comes after the headers isn't timed: a body may stream for as long as its reader likes.
"""

import re
from functools import lru_cache
from time import perf_counter_ns
from typing import Any

from django.http.request import validate_host
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from telemetry import conf
from telemetry.faults import fails_open
from telemetry.metrics import HTTP_BUCKETS, histogram
from telemetry.redaction import REDACTED
from telemetry.tracing import traceparent
from telemetry.tracing.work import running

DURATION = histogram(
    "http_client_request_duration_seconds",
    "Duration of HTTP calls out, to the answer's headers.",
    ["http_request_method", "server_address", "http_response_status_code", "error_type"],
    buckets=HTTP_BUCKETS,
)
_OTHER = "_OTHER"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"})
_MOST_ADDRESSES = 100
_MOST_ERROR_TYPES = 50
_MOST_PARAMETERS = 20
_LONGEST_PATH = 500
_SHORTEST_TOKEN = 20
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PARAMETER = re.compile(r"([\w.\[\]-]{1,40})=.*", re.DOTALL)

_addresses: set[str] = set()
_error_types: set[str] = set()
_duration_of = lru_cache(maxsize=4_096)(DURATION.labels)


class Call:
    """One call under way. `target` is what follows the server in the address: path and query."""

    __slots__ = ("address", "begun_ns", "context", "is_ended", "method", "port", "scheme", "target", "work")

    def __init__(self, method: str, scheme: str, address: str, port: int | None, target: str) -> None:
        self.method = method.upper() if method.upper() in _METHODS else _OTHER
        self.scheme = scheme
        self.address = address.lower()
        self.port = port or _DEFAULT_PORTS.get(scheme, 0)
        self.target = target
        self.work = running()
        self.context = None
        self.is_ended = False
        hosts = conf.propagate_to()
        if hosts and self.work is not None and validate_host(self.address, hosts):
            self.context = self.work.new_child()
        self.begun_ns = perf_counter_ns()

    @property
    def traceparent(self) -> str:
        """The header that goes along; empty where the server isn't to know."""
        return traceparent.of(self.context) if self.context is not None else ""

    def end(self, status: int = 0, error: BaseException | None = None) -> None:
        """Note it: with the answer's status, or with the error that came instead. Once; later ones do nothing."""
        if self.is_ended:
            return
        self.is_ended = True
        self._note(perf_counter_ns(), status, _error_type(status, error))

    @fails_open("http_client")
    def _note(self, ended_ns: int, status: int, error_type: str) -> None:
        work = self.work
        elapsed_ns = ended_ns - self.begun_ns
        is_sampled = work is not None and work.span.context.trace_flags.sampled
        exemplar = {"trace_id": work.trace_id} if work is not None and is_sampled else None
        address = _bounded(self.address, _addresses, _MOST_ADDRESSES)
        error_label = _bounded(error_type, _error_types, _MOST_ERROR_TYPES)
        code = str(status) if status else ""
        _duration_of(self.method, address, code, error_label).observe(elapsed_ns / 1e9, exemplar)
        if work is None:
            return
        work.calls += 1
        work.call_ns += elapsed_ns
        told: dict[str, Any] = {
            "http.request.method": self.method,
            "server.address": self.address,
            "server.port": self.port,
            "url.full": self._url(),
        }
        if status:
            told["http.response.status_code"] = status
        if error_type:
            told["error.type"] = error_type
        work.add_leaf(self.method, self.begun_ns, ended_ns, told, error_type=error_type, context=self.context)

    def _url(self) -> str:
        """The address without credentials and without the query's values."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        port = "" if self.port == _DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        path, has_query, query = self.target.partition("#")[0].partition("?")
        text = f"{self.scheme}://{host}{port}{_path_without_tokens(path[:_LONGEST_PATH])}"
        return f"{text}?{_names_of(query)}" if has_query else text


def begin(method: str, scheme: str, address: str, port: int | None, target: str) -> Call | None:
    """Begin a call; None where it isn't to be told of, such as telemetry's own."""
    return Call(method, scheme, address, port, target) if is_instrumentation_enabled() else None


def _error_type(status: int, error: BaseException | None) -> str:
    if error is None:
        return str(status) if status >= 400 else ""
    reason = getattr(error, "reason", None)  # what urllib3 wraps when it gives up
    return type(reason if isinstance(reason, BaseException) else error).__name__


def _bounded(value: str, known: set[str], most: int) -> str:
    if value not in known:
        if len(known) >= most:
            return _OTHER
        known.add(value)
    return value


def _path_without_tokens(path: str) -> str:
    """Addresses of web hooks hold their secret in the path."""
    return "/".join(REDACTED if _is_token(part) else part for part in path.split("/"))


def _is_token(part: str) -> bool:
    """Whether it's long, with a digit, and neither a UUID nor words with hyphens between them."""
    if len(part) < _SHORTEST_TOKEN or not any(map(str.isdigit, part)):
        return False
    return "-" not in part or not (part.islower() or part.isupper())


def _names_of(query: str) -> str:
    names = [f"{match[1]}=*" if (match := _PARAMETER.fullmatch(pair)) else "*" for pair in query.split("&")]
    return "&".join(names[:_MOST_PARAMETERS])
