"""Answers 503 where the ledger can't be written, for projects that have no such answer of their own."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from audit import unavailable
from telemetry.context import current, new_request_id

Handler = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class AuditMiddleware:
    """Sync and async; costs a request nothing as long as its view raises nothing.

    Place it first: then it hears of every view's exception that no other middleware has answered.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response: Any = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer a view's exception where the ledger is its cause."""
        if not unavailable.is_ledger_failure(exception):
            return None
        unavailable.report(exception)
        return response(request)


def response(request: HttpRequest) -> HttpResponse:
    """Return the 503: problem details (RFC 9457) for programs, a line of text for people, with the request's id."""
    request_id = current().request_id or new_request_id()
    headers = {"Retry-After": str(unavailable.RETRY_AFTER_SECONDS), "X-Request-ID": request_id}
    if not _wants_json(request):
        text = f"{unavailable.DETAIL}\nRequest id: {request_id}\n"
        return HttpResponse(text, status=503, content_type="text/plain; charset=utf-8", headers=headers)
    members = {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": unavailable.DETAIL,
        "instance": request.path,
        "request_id": request_id,
    }
    return HttpResponse(orjson.dumps(members), status=503, content_type="application/problem+json", headers=headers)


def _wants_json(request: HttpRequest) -> bool:
    accepted = request.headers.get("Accept", "")
    return "text/html" not in accepted and ("json" in accepted or request.content_type == "application/json")
