"""One request and its answer, as a piece of work."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import lru_cache
from time import perf_counter_ns
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode

from telemetry import conf
from telemetry.context import ANONYMOUS, Actor, Context, is_request_id, new_request_id, use
from telemetry.database import repeats
from telemetry.faults import fails_open
from telemetry.http.server_timing import server_timing
from telemetry.logs import get_logger
from telemetry.metrics import HTTP_BUCKETS, counter, gauge, histogram
from telemetry.redaction import clean
from telemetry.tracing import traceparent
from telemetry.tracing.work import Work

log = get_logger("http")
DURATION = histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP requests.",
    ["http_request_method", "http_route", "http_response_status_code", "error_type"],
    buckets=HTTP_BUCKETS,
)
ACTIVE = gauge("http_server_active_requests", "HTTP requests now being served.", ["http_request_method"])
REFUSED_IDS = counter("telemetry_request_ids_refused_total", "Request ids from outside that were replaced.")

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"})
_CLIENT_CLOSED_REQUEST = 499
_NOTEWORTHY_NS = 100_000_000
_EXEMPLAR_PAUSE_NS = 20_000_000
_exemplar_due_ns = 0
_duration_of = lru_cache(maxsize=4_096)(DURATION.labels)
_active_of = lru_cache(maxsize=16)(ACTIVE.labels)
for _method in ("GET", "POST"):  # so that a rate has a zero to begin from
    _active_of(_method)


class Exchange:
    """One request and its answer.

    Quiet ones, such as static files, have an id, a context and metrics, but no piece of work: no span, no line.
    """

    def __init__(self, request: HttpRequest) -> None:
        self.begun_ns = perf_counter_ns()
        self.request = request
        self.exception: BaseException | None = None
        meta = request.META
        path = request.path
        peer = meta.get("REMOTE_ADDR", "")
        is_trusted = conf.is_trusted(peer)
        self.request_id, refused = _request_id(meta.get("HTTP_X_REQUEST_ID", ""), is_trusted)
        self.method = request.method if request.method in _METHODS else "_OTHER"
        self.client_address = client_address(peer, meta.get("HTTP_X_FORWARDED_FOR", "")) if is_trusted else peer
        self._user_agent = clean(meta.get("HTTP_USER_AGENT", "")[:200])
        self._actor: tuple[Any, Actor] = (None, ANONYMOUS)
        self._is_reading_actor = False
        self._has_failed = False  # after its status was sent
        self._is_finished = False
        self.work: Work | None = None
        if not path.startswith(conf.quiet_prefixes()):
            self.work = self._begin_work(path, traceparent.parse(meta.get("HTTP_TRACEPARENT", "")), is_trusted, refused)
        work = self.work
        self.context = Context(
            request_id=self.request_id,
            origin="http",
            actor_source=self._read_actor,
            trace_id=work.trace_id if work is not None else "",
            span_id=work.span_id if work is not None else "",
            client_address=self.client_address,
            user_agent=self._user_agent,
            reason=clean(meta.get("HTTP_X_AUDIT_REASON", "")[:500]),
            operation=f"{self.method} {path}"[:200],
        )
        self._count_begin()
        request.telemetry = self  # type: ignore[attr-defined]

    @property
    def span(self) -> Span:
        """The server span; an invalid one where the request is quiet."""
        return self.work.span if self.work is not None else trace.INVALID_SPAN

    def _begin_work(self, path: str, remote: SpanContext | None, is_trusted: bool, refused: str) -> Work:
        attributes: dict[str, Any] = {
            "http.request.method": self.method,
            "url.path": path[:500],
            "client.address": self.client_address,
            "user_agent.original": self._user_agent,
        }
        if refused:
            attributes["request.id_refused_digest"] = refused
        return Work(
            self.method,
            origin="http",
            sampled_as=path,
            request_id=self.request_id,
            kind=SpanKind.SERVER,
            attributes=attributes,
            parent=remote if is_trusted else None,
            # A stranger's trace: ours begins anew, and tells of it.
            links=[Link(remote)] if remote is not None and not is_trusted else (),
        )

    def _read_actor(self) -> Actor:
        """Who acts, read from the request at this moment: API authentication runs after the middleware."""
        if self._is_reading_actor:
            return ANONYMOUS  # asked by the very query that finds out who it is
        user = getattr(self.request, "user", None)
        self._is_reading_actor = True
        try:
            if user is None or not user.is_authenticated:
                return ANONYMOUS
        finally:
            self._is_reading_actor = False
        known, actor = self._actor
        if known is not user:
            actor = Actor(type="user", id=str(user.pk), label=user.get_username())
            self._actor = (user, actor)
        return actor

    def enter(self) -> None:
        """Let what runs from now on belong to this request."""
        if self.work is not None:
            self.work.enter(self.context)
        else:
            self._quiet = use(self.context)
            self._quiet.__enter__()

    def leave(self) -> None:
        """Undo `enter`."""
        if self.work is not None:
            self.work.leave()
        else:
            self._quiet.__exit__(None, None, None)

    def abort(self, error: BaseException) -> None:
        """End an exchange that has no answer: a disconnect, or a failure outside Django's handling."""
        self.exception = error
        self._finish(_CLIENT_CLOSED_REQUEST if type(error).__name__ == "CancelledError" else 500)

    def answer(self, response: HttpResponseBase) -> HttpResponseBase:
        """Put the headers on, and end the exchange, after the last chunk where it streams."""
        elapsed_ns = perf_counter_ns() - self.begun_ns
        headers = response.headers
        headers["X-Request-ID"] = self.request_id
        headers["X-Request-Duration-Ms"] = f"{elapsed_ns / 1e6:.1f}"
        if self.work is not None:
            headers["traceparent"] = traceparent.of(self.work.span.context)
            if conf.shows_server_timing() or getattr(self._known_user(), "is_staff", False):
                headers["Server-Timing"] = server_timing(self.work, elapsed_ns)
        if response.streaming:
            self._finish_after_stream(response)
        else:
            self._finish(response.status_code)
        return response

    def _finish_after_stream(self, response: Any) -> None:
        content = response.streaming_content
        if response.is_async:
            response.streaming_content = self._async_stream(content, response)
        else:
            response.streaming_content = self._stream(content, response)
        # A client that went before the first chunk: a generator that never began doesn't run its `finally`.
        response._resource_closers.append(lambda: self._finish_outside(response.status_code))

    def _stream(self, content: Iterator[bytes], response: Any) -> Iterator[bytes]:
        chunks = iter(content)
        with self._ending(response):
            while True:
                with self._entered():
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                yield chunk

    async def _async_stream(self, content: AsyncIterator[bytes], response: Any) -> AsyncIterator[bytes]:
        chunks = aiter(content)
        with self._ending(response):
            while True:
                with self._entered():
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                yield chunk

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Stand around the making of a chunk, and not around its `yield`: in between the thread may serve others."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    @contextmanager
    def _ending(self, response: Any) -> Iterator[None]:
        """End the exchange with its stream. The client has its status already; a client that went is no error."""
        try:
            yield
        except BaseException as error:
            self.exception = error
            if isinstance(error, Exception):
                self._has_failed = True
            elif self.work is not None:
                self.work.span.set_attribute("client.disconnected", True)
            raise
        finally:
            self._finish_outside(response.status_code)

    def _known_user(self) -> Any:
        """The user, where that was found out anyway: neither a header nor a line is worth a query."""
        return getattr(self.request, "_cached_user", None)

    @fails_open("http")
    def _count_begin(self) -> None:
        _active_of(self.method).inc()

    def _finish_outside(self, status: int) -> None:
        with use(self.context):
            self._finish(status)

    @fails_open("http")
    def _finish(self, status: int) -> None:
        """End it; to be called within its context."""
        if self._is_finished:
            return
        self._is_finished = True
        elapsed_ns = perf_counter_ns() - self.begun_ns
        match = self.request.resolver_match
        # An unmatched path is no route: as a label it would let strangers make series.
        route = f"/{match.route}" if match is not None and match.route is not None else ""
        has_failed = status >= 500 or self._has_failed
        error_type = ""
        if has_failed or status == _CLIENT_CLOSED_REQUEST:
            error_type = type(self.exception).__name__ if self.exception is not None else str(status)
        work = self.work
        is_sampled = work is not None and work.span.context.trace_flags.sampled
        exemplar = {"trace_id": self.context.trace_id} if is_sampled and _is_exemplar_due(elapsed_ns) else None
        _active_of(self.method).dec()
        _duration_of(self.method, route, str(status), error_type).observe(elapsed_ns / 1e9, exemplar)
        if work is None and not has_failed:
            return
        user = self._known_user()
        user_id = self._actor[1].id or (str(user.pk) if user is not None and user.is_authenticated else "")
        if work is not None:
            self._finish_work(work, route, status, error_type, user_id)
        self._write_line(route, status, elapsed_ns, user_id, error_type)

    def _finish_work(self, work: Work, route: str, status: int, error_type: str, user_id: str) -> None:
        span = work.span
        span.name = f"{self.method} {route}".rstrip()
        told: dict[str, Any] = {
            "http.route": route,
            "http.response.status_code": status,
            "db.statements": work.statements,
            "db.statement_seconds": round(work.statement_ns / 1e9, 6),
        }
        if user_id:
            told["user.id"] = user_id
        if error_type:
            told["error.type"] = error_type
            span.set_status(StatusCode.ERROR, error_type)
        span.attributes.update(told)
        if self.exception is not None and isinstance(self.exception, Exception):
            span.record_exception(self.exception)
        if work.repeat_sites:
            repeats.tell(work, span.name)
        work.finish(is_error=status >= 500 or self._has_failed)

    def _write_line(self, route: str, status: int, elapsed_ns: int, user_id: str, error_type: str) -> None:
        has_failed = status >= 500 or self._has_failed
        work = self.work
        fields: dict[str, Any] = {
            "method": self.method,
            "route": route,
            "path": self.request.path[:500],
            "status": status,
            "duration_ms": round(elapsed_ns / 1e6, 1),
            "client_address": self.client_address,
        }
        if work is not None:
            fields["statements"] = work.statements
            fields["statements_ms"] = round(work.statement_ns / 1e6, 1)
            if work.cache_operations:
                fields["cache_operations"] = work.cache_operations
                fields["cache_hits"] = work.cache_hits
        if user_id:
            fields["user_id"] = user_id
        if error_type:
            fields["error_type"] = error_type
        if has_failed and isinstance(self.exception, Exception):
            fields["exc_info"] = self.exception
        (log.error if has_failed else log.info)("http.request", **fields)


def _is_exemplar_due(elapsed_ns: int) -> bool:
    """Whether to keep an exemplar: always for what took long; else now and then, since a scrape takes but the last."""
    global _exemplar_due_ns
    if elapsed_ns >= _NOTEWORTHY_NS:
        return True
    now = perf_counter_ns()
    if now < _exemplar_due_ns:
        return False
    _exemplar_due_ns = now + _EXEMPLAR_PAUSE_NS
    return True


def _request_id(given: str, is_trusted: bool) -> tuple[str, str]:
    """Return the request's id, and the capped digest of one from outside that is not taken over."""
    if not given:
        return new_request_id(), ""
    if is_trusted and is_request_id(given):
        return given, ""
    REFUSED_IDS.inc()
    return new_request_id(), hashlib.sha256(given[:4_096].encode(errors="replace")).hexdigest()[:16]


def client_address(peer: str, forwarded: str) -> str:
    """Return the nearest address in `X-Forwarded-For` that is no trusted proxy; the peer where there is none."""
    for address in reversed([part.strip() for part in forwarded[:1_000].split(",") if part.strip()]):
        if not conf.is_trusted(address):
            return clean(address[:64])
    return peer
