"""What the server itself refused, or failed at: requests answered 400, 401, 403, 413 or 500 that nobody else recorded.

What a view denies it may record by itself, with the object and the reason. What is refused without it, by a middleware,
a permission, a form's token, is recorded here. Which object somebody asked for that isn't theirs (404) only the view
can tell from an address that leads nowhere.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponseBase

from audit import recording, unavailable
from audit.models import Event
from telemetry.context import current

REFUSED = "http.request.refused"
FAILED = "http.request.failed"
_REFUSALS = frozenset({400, 401, 403, 413})
# What keeps being asked and refused must not fill the ledger; each has its line in the log all the same.
_ONCE_IN_SECONDS = 60

Handler = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class RefusalMiddleware:
    """Sync and async; costs a request nothing that is answered otherwise. Place it first: it sees all answers then.

    A person's or token's refusal is recorded once a minute for each path, a stranger's for each address and route.
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
        response = self.get_response(request)
        if response.status_code in _REFUSALS or response.status_code == 500:
            _record(request, response.status_code)
        return response

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await self.get_response(request)
        if response.status_code in _REFUSALS or response.status_code == 500:
            await sync_to_async(_record)(request, response.status_code)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Keep of what kind an exception is that no middleware further in has answered."""
        explain(request, type(exception).__name__)


def explain(request: HttpRequest, why: str) -> None:
    """Say why `request` will be refused, such as `csrf`; the event has it."""
    request.audit_why = why  # type: ignore[attr-defined]


def _record(request: HttpRequest, status: int) -> None:
    """A refusal that can't be recorded stays a refusal: nothing was done that could be undone."""
    outcome: recording.Outcome = "error" if status == 500 else "denied"
    match = request.resolver_match
    route = f"/{match.route}" if match is not None and match.route is not None else ""
    told = {"status": status, "route": route, "why": getattr(request, "audit_why", "")}
    try:
        if not _is_recorded_already(outcome) and _is_due(request, status, route):
            changes = {name: value for name, value in told.items() if value}
            recording.record(FAILED if outcome == "error" else REFUSED, outcome=outcome, changes=changes)
    except (DatabaseError, InterfaceError) as error:
        unavailable.report(error)


def _is_recorded_already(outcome: str) -> bool:
    request_id = current().request_id
    return bool(request_id) and Event.objects.filter(request_id=request_id, outcome=outcome).exists()


def _is_due(request: HttpRequest, status: int, route: str) -> bool:
    context = current()
    actor = context.actor
    who = [actor.type, actor.id, request.path] if actor.id else [context.client_address, route]
    digest = hashlib.sha256("\0".join([*who, request.method or "", str(status)]).encode(errors="replace")).hexdigest()
    key = f"audit-refused-{digest[:32]}"
    try:
        # A cache that is down says no to both.
        return bool(cache.add(key, 1, _ONCE_IN_SECONDS)) or cache.get(key) is None
    except Exception:  # whatever ails the cache, the ledger is told
        return True
