"""What the ledger's API views share: who may read, how often, in which form, and what a refusal looks like."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.core.cache import cache
from drf_spectacular.utils import OpenApiExample, OpenApiParameter
from rest_framework import exceptions, permissions, renderers, throttling
from rest_framework.request import Request
from rest_framework.views import APIView

from audit import conf, recording, values
from audit.errors import AuditError, CursorError, FilterError, SearchTooLongError
from audit.reading import filters
from audit.reading.access import Access, access_of
from audit.reading.cursors import Cursor, parse
from audit.reading.filters import Filter, Search

_REFUSALS_RECORDED_EVERY_SECONDS = 60


def access_for(request: Request) -> Access:
    """Return what the request's user, by the request's token if there's one, may see of the ledger."""
    return access_of(request.user, getattr(request.auth, "scopes", None))


class MayReadLedger(permissions.BasePermission):
    """A permission to see events, and, for a token, the scope `audit:read` or one of an object type."""

    message = "Reading the ledger needs the permission audit.view_event; a token needs the scope audit:read as well."

    def has_permission(self, request: Request, view: APIView) -> bool:
        is_granted = access_for(request).is_any
        if request.user.is_authenticated and not is_granted:
            recording.record("audit.ledger.read_denied", outcome="denied")
        return is_granted


class LedgerThrottle(throttling.SimpleRateThrottle):
    """So many requests a minute for each token, or person where there's none: `AUDIT_API_RATE`."""

    scope = "audit"

    def get_rate(self) -> str | None:
        return conf.api_rate()

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        who = f"token-{request.auth.pk}" if hasattr(request.auth, "pk") else f"user-{request.user.pk}"
        return self.cache_format % {"scope": self.scope, "ident": who}

    def throttle_failure(self) -> bool:
        # Once a minute: a client that keeps asking must not fill the ledger.
        if cache.add(f"{self.key}-refused", 1, _REFUSALS_RECORDED_EVERY_SECONDS):
            recording.record("audit.ledger.throttled", outcome="denied", changes={"rate": self.rate})
        return False


class ExactJSONRenderer(renderers.JSONRenderer):
    """JSON in which a number has all its digits: Django REST framework's own makes strings of decimals."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else values.dumps(data)


class LedgerView(APIView):
    """A view of the ledger: for those who may read it, so many times a minute, with errors that name what is wrong."""

    renderer_classes = [ExactJSONRenderer]
    permission_classes = [MayReadLedger]
    throttle_classes = [LedgerThrottle]

    def handle_exception(self, exc: Exception) -> Any:
        return super().handle_exception(refusal_for(exc) if isinstance(exc, AuditError) else exc)

    def search_of(self, request: Request, *, beside: Iterable[str] = ()) -> Search:
        """Return the search that the query asks for; parameters named in `beside` mean something else.

        Raises:
            FilterError: a filter is unknown, malformed, or given twice.
        """
        asked = request.query_params
        if twice := sorted(name for name in asked if len(asked.getlist(name)) > 1):
            raise FilterError({name: ["This was given more than once."] for name in twice})
        given = {name: text for name, text in asked.items() if name not in set(beside)}
        return filters.parse(given, access_for(request))

    def cursor_of(self, request: Request) -> Cursor:
        """Return where the query wants the reading to go on, or its beginning in the order that it asks for.

        Raises:
            CursorError: the cursor is none of ours.
            FilterError: there's no such order.
        """
        if text := request.query_params.get("cursor"):
            return parse(text)
        order = request.query_params.get("order", "newest")
        if order not in ("newest", "oldest"):
            raise FilterError({"order": [f"“{order[:100]}” is no order. There are: newest, oldest."]})
        return Cursor(order)  # type: ignore[arg-type]

    def limit_of(self, request: Request, *, usual: int, most: int) -> int:
        """Return how many results the query asks for.

        Raises:
            FilterError: it's no number from 1 to `most`.
        """
        text = request.query_params.get("limit", str(usual))
        if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
            raise FilterError({"limit": [f"This has to be a number from 1 to {most}."]})
        return int(text)


def refusal_for(error: AuditError) -> exceptions.APIException:
    """Return the API's answer to an error of ours: 400 with the parameter's name."""
    match error:
        case FilterError():
            return exceptions.ValidationError(error.problems)
        case CursorError():
            return exceptions.ValidationError({"cursor": [str(error)]})
        case SearchTooLongError():
            return exceptions.ValidationError({"since": [str(error)]})
    return exceptions.ValidationError([str(error)])


def parameters(*more: OpenApiParameter) -> list[OpenApiParameter]:
    """Return OpenAPI's description of the filters, each with an example, and of `more`."""
    changes = [filters.CHANGES_FROM, filters.CHANGES_TO]
    return [*(_parameter(one) for one in (*filters.FILTERS, *changes)), *more]


def _parameter(one: Filter) -> OpenApiParameter:
    note = "" if one.index else " No index serves it: give a time range as well."
    return OpenApiParameter(
        one.name.replace("<field>", "{field}"),
        str,
        description=one.help + note,
        examples=[OpenApiExample(one.example, value=one.example)],
    )


def link(request: Request, path: str, query: Mapping[str, Any] | None = None) -> str:
    """Return an absolute address, with `query` where it's given."""
    return request.build_absolute_uri(f"{path}?{urlencode(query)}" if query else path)
