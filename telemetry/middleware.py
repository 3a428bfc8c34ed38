"""One pass a request: request id, context, server span, RED metrics, canonical log line.

OpenTelemetry's middleware gives the place and the tracer; what it does is done here, since contrib's is not
async-capable, builds its attributes before it samples, and loses spans on client disconnects and streams.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import lru_cache
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation.django.middleware.otel_middleware import _DjangoMiddleware
from opentelemetry.trace import Link, Span, SpanKind, StatusCode

from telemetry import conf, tracing, work
from telemetry.attributes import REQUEST_ID
from telemetry.context import ANONYMOUS, Actor, Context, is_request_id, new_request_id, use
from telemetry.logs import get_logger
from telemetry.metrics import HTTP_BUCKETS, counter, gauge, histogram
from telemetry.redaction import clean

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
_duration_of = lru_cache(maxsize=4_096)(DURATION.labels)
_active_of = lru_cache(maxsize=16)(ACTIVE.labels)

Handler = Callable[[HttpRequest], HttpResponseBase]
AsyncHandler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class TelemetryMiddleware(_DjangoMiddleware):
    """The outermost middleware; sync and async."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler | AsyncHandler) -> None:
        super().__init__(get_response)  # type: ignore[no-untyped-call]
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)
            self._serve: Any = self._serve_async
        else:
            self._serve = self._serve_sync

    def __call__(self, request: HttpRequest) -> Any:
        return self._serve(request)

    def _serve_sync(self, request: HttpRequest) -> HttpResponseBase:
        exchange = _Exchange(request, self._tracer)
        token = otel_context.attach(trace.set_span_in_context(exchange.span))
        try:
            with use(exchange.context):
                try:
                    response: HttpResponseBase = self.get_response(request)
                except BaseException as error:
                    exchange.abort(error)
                    raise
                return exchange.answer(response)
        finally:
            otel_context.detach(token)

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        exchange = _Exchange(request, self._tracer)
        token = otel_context.attach(trace.set_span_in_context(exchange.span))
        try:
            with use(exchange.context):
                try:
                    response: HttpResponseBase = await self.get_response(request)
                except BaseException as error:  # a client that disconnects cancels us
                    exchange.abort(error)
                    raise
                return exchange.answer(response)
        finally:
            otel_context.detach(token)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Keep what a view raised, for the span and the log line; Django makes the response of it."""
        exchange = getattr(request, "telemetry", None)
        if exchange is not None:
            exchange.exception = exception

    @property
    def process_view(self) -> Any:
        """Contrib's hook, hidden from Django: it would cost a thread hop a request under ASGI."""
        raise AttributeError("process_view")


class _Exchange:
    """One request and its answer."""

    def __init__(self, request: HttpRequest, tracer: Any) -> None:
        self.begun = time.perf_counter()
        self.request = request
        self.exception: BaseException | None = None
        meta = request.META
        peer = meta.get("REMOTE_ADDR", "")
        is_trusted = conf.is_trusted(peer)
        self.request_id, refused = _request_id(meta.get("HTTP_X_REQUEST_ID", ""), is_trusted)
        self.method = request.method if request.method in _METHODS else "_OTHER"
        self.is_quiet = request.path.startswith(conf.quiet_prefixes())
        self.client_address = _client_address(peer, meta.get("HTTP_X_FORWARDED_FOR", "")) if is_trusted else peer
        self.span = self._start_span(tracer, is_trusted, refused)
        span_context = self.span.get_span_context()
        self.traceparent = tracing.traceparent(span_context)
        self._actor: tuple[Any, Actor] = (None, ANONYMOUS)
        self._is_reading_actor = False
        self.context = Context(
            request_id=self.request_id,
            origin="http",
            actor_source=self._read_actor,
            trace_id=f"{span_context.trace_id:032x}" if span_context.is_valid else "",
            span_id=f"{span_context.span_id:016x}" if span_context.is_valid else "",
            client_address=self.client_address,
            user_agent=clean(meta.get("HTTP_USER_AGENT", "")[:200]),
            reason=clean(meta.get("HTTP_X_AUDIT_REASON", "")[:500]),
            operation=f"{self.method} {request.path}"[:200],
        )
        self.tally = work.begin()
        _active_of(self.method).inc()
        request.telemetry = self  # type: ignore[attr-defined]

    def _start_span(self, tracer: Any, is_trusted: bool, refused: str) -> Span:
        if self.is_quiet:
            return trace.INVALID_SPAN
        remote = tracing.parse_traceparent(self.request.META.get("HTTP_TRACEPARENT", ""))
        parent, links = otel_context.Context(), []
        if remote and is_trusted:
            parent = trace.set_span_in_context(trace.NonRecordingSpan(remote), parent)
        elif remote:
            links = [Link(remote)]  # a stranger's trace: ours begins anew, and tells of it
        span: Span = tracer.start_span(
            self.method,
            context=parent,
            kind=SpanKind.SERVER,
            links=links,
            attributes={REQUEST_ID: self.request_id},
        )
        if span.is_recording():  # sampling comes first: what isn't recorded costs no attributes
            span.set_attributes(
                {
                    "http.request.method": self.method,
                    "url.path": self.request.path[:500],
                    "client.address": self.client_address,
                    "user_agent.original": clean(self.request.META.get("HTTP_USER_AGENT", "")[:200]),
                }
            )
            if refused:
                span.set_attribute("request.id_refused_digest", refused)
        return span

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

    def abort(self, error: BaseException) -> None:
        """End an exchange that has no answer: a disconnect, or a failure outside Django's handling."""
        self.exception = error
        self._finish(499 if type(error).__name__ == "CancelledError" else 500)

    def answer(self, response: HttpResponseBase) -> HttpResponseBase:
        """Put the headers on, and end the exchange, after the last chunk where it streams."""
        response["X-Request-ID"] = self.request_id
        response["X-Request-Duration-Ms"] = f"{(time.perf_counter() - self.begun) * 1_000:.1f}"
        if self.traceparent:
            response["traceparent"] = self.traceparent
        if response.streaming:
            self._finish_after_stream(response)
        else:
            self._finish(response.status_code)
        return response

    def _finish_after_stream(self, response: Any) -> None:
        content = response.streaming_content
        if response.is_async:
            response.streaming_content = self._async_stream(content, response.status_code)
        else:
            response.streaming_content = self._stream(content, response.status_code)

    def _stream(self, content: Iterator[bytes], status: int) -> Iterator[bytes]:
        try:
            with use(self.context), trace.use_span(self.span, end_on_exit=False):
                yield from content
        except BaseException as error:
            self.exception = error
            raise
        finally:
            self._finish(status)

    async def _async_stream(self, content: AsyncIterator[bytes], status: int) -> AsyncIterator[bytes]:
        chunks = aiter(content)
        try:
            while True:
                # Not around the yield: whoever finishes a generator may do so in another context.
                with use(self.context), trace.use_span(self.span, end_on_exit=False):
                    try:
                        chunk = await anext(chunks)
                    except StopAsyncIteration:
                        return
                yield chunk
        except BaseException as error:
            self.exception = error
            raise
        finally:
            self._finish(status)

    def _finish(self, status: int) -> None:
        elapsed = time.perf_counter() - self.begun
        match = self.request.resolver_match
        # An unmatched path is no route: as a label it would let strangers make series.
        route = f"/{match.route}" if match is not None and match.route is not None else ""
        error_type = type(self.exception).__name__ if self.exception else (str(status) if status >= 500 else "")
        _active_of(self.method).dec()
        _duration_of(self.method, route, str(status), error_type).observe(elapsed)
        if self.is_quiet and status < 500:
            return
        # Who it was, where that was found out anyway: a line isn't worth a query.
        user = getattr(self.request, "_cached_user", None)
        user_id = self._actor[1].id or (str(user.pk) if user is not None and user.is_authenticated else "")
        span = self.span
        if span.is_recording():
            span.update_name(f"{self.method} {route}".rstrip())
            span.set_attributes(
                {
                    "http.route": route,
                    "http.response.status_code": status,
                    "db.statements": self.tally.statements,
                    "db.statement_seconds": round(self.tally.statement_seconds, 6),
                }
            )
            if user_id:
                span.set_attribute("user.id", user_id)
            if self.exception is not None:
                span.record_exception(self.exception)
            if status >= 500:
                span.set_status(StatusCode.ERROR, error_type)
                span.set_attribute("error.type", error_type)
        span.end()
        write = log.error if status >= 500 else log.info
        with use(self.context):
            write(
                "http.request",
                method=self.method,
                route=route,
                path=self.request.path[:500],
                status=status,
                duration_ms=round(elapsed * 1_000, 1),
                statements=self.tally.statements,
                statements_ms=round(self.tally.statement_seconds * 1_000, 1),
                client_address=self.client_address,
                user_id=user_id or None,
                error_type=error_type or None,
                exc_info=self.exception if status >= 500 and isinstance(self.exception, Exception) else None,
            )


def _request_id(given: str, is_trusted: bool) -> tuple[str, str]:
    """Return the request's id, and the capped digest of one from outside that is not taken over."""
    if not given:
        return new_request_id(), ""
    if is_trusted and is_request_id(given):
        return given, ""
    REFUSED_IDS.inc()
    return new_request_id(), hashlib.sha256(given[:4_096].encode(errors="replace")).hexdigest()[:16]


def _client_address(peer: str, forwarded: str) -> str:
    """Return the nearest address in `X-Forwarded-For` that is no trusted proxy; the peer where there is none."""
    for address in reversed([part.strip() for part in forwarded[:1_000].split(",") if part.strip()]):
        if not conf.is_trusted(address):
            return clean(address[:64])
    return peer
