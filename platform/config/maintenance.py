"""What is answered while the platform is closed for maintenance: 503, and when to come again."""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template import loader

import caching.middleware
from config.problems import error_response, wants_json
from ops.maintenance import passing, queries
from ops.maintenance.metrics import TURNED_AWAY
from ops.maintenance.queries import Window
from telemetry.context import current

Handler = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]

DETAIL = "The platform is closed for maintenance."


class MaintenanceMiddleware:
    """Sync and async; place it after authentication, and before whatever answers from a cache.

    Where no maintenance is on, it costs a comparison of times.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response: Any = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self._is_async:
            return self._call_async(request)
        return _answer(request) or self.get_response(request)

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        is_certain = queries.is_known() and queries.current() is None
        answer = None if is_certain else await sync_to_async(_answer)(request)
        response: HttpResponseBase = answer or await self.get_response(request)
        return response


class SharedPageMiddleware(caching.middleware.SharedPageMiddleware):
    """The short way to kept pages: closed during maintenance, so that these requests come to be turned away."""

    def is_open(self) -> bool:
        """Whether no maintenance is on."""
        return queries.current() is None


def _answer(request: HttpRequest) -> HttpResponse | None:
    """Return the 503; None where the request may pass."""
    if passing.is_open(request.path):
        return None
    window = queries.current()
    if window is None or passing.is_of_staff(request):
        return None
    TURNED_AWAY.labels("http").inc()
    return closed(request, window)


def closed(request: HttpRequest, window: Window) -> HttpResponse:
    """Return what a request gets that maintenance turns away: problem details, or a page that asks nobody."""
    headers = {"Retry-After": str(passing.retry_after_seconds(window)), "Cache-Control": "no-store"}
    if wants_json(request):
        return error_response(request, 503, detail=f"{DETAIL} {window.message}".strip(), headers=headers)
    page = loader.render_to_string("maintenance.html", {"window": window, "request_id": current().request_id})
    return HttpResponse(page, status=503, headers=headers)
