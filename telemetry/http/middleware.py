"""One pass a request: request id, context, server span, RED metrics, canonical log line; sync and async.

OpenTelemetry's middleware gives the place and the hooks; what it does is done in `exchange`, since contrib's is not
async-capable, builds its attributes before it samples, and loses spans on client disconnects and streams.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from opentelemetry.instrumentation.django.middleware.otel_middleware import _DjangoMiddleware

from telemetry.http.exchange import Exchange

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
        exchange = Exchange(request)
        exchange.enter()
        try:
            self._call_request_hook(exchange)
            response: HttpResponseBase = self.get_response(request)
            return self._answer(exchange, response)
        except BaseException as error:
            exchange.abort(error)
            raise
        finally:
            exchange.leave()

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        exchange = Exchange(request)
        exchange.enter()
        try:
            self._call_request_hook(exchange)
            response: HttpResponseBase = await self.get_response(request)
            return self._answer(exchange, response)
        except BaseException as error:  # a client that disconnects cancels us
            exchange.abort(error)
            raise
        finally:
            exchange.leave()

    def _call_request_hook(self, exchange: Exchange) -> None:
        # The hooks that people give to DjangoInstrumentor().instrument(): contrib keeps them on the class.
        if (hook := _DjangoMiddleware._otel_request_hook) is not None:
            hook(exchange.span, exchange.request)

    def _answer(self, exchange: Exchange, response: HttpResponseBase) -> HttpResponseBase:
        if (hook := _DjangoMiddleware._otel_response_hook) is not None:
            hook(exchange.span, exchange.request, response)  # type: ignore[arg-type]
        return exchange.answer(response)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Keep what a view raised, for the span and the log line; Django makes the response of it."""
        exchange: Exchange | None = getattr(request, "telemetry", None)
        if exchange is not None:
            exchange.exception = exception

    @property
    def process_view(self) -> Any:
        """Contrib's hook, hidden from Django: it would cost a thread hop a request under ASGI."""
        raise AttributeError("process_view")
