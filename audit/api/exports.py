"""`/api/audit/export/`: the ledger as a stream. `/api/audit/exports/`: files of it, made in the background."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import FileResponse, Http404, HttpResponseBase, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema, inline_serializer
from rest_framework import exceptions, permissions, serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import conf, recording
from audit.api.base import LedgerThrottle, LedgerView, MayReadLedger, access_for, link, parameters
from audit.errors import (
    ExportDeniedError,
    ExportError,
    ExportsUnavailableError,
    FilterError,
    TooManyExportsError,
)
from audit.exports import asking, files, streaming
from audit.exports.formats.known import FORMATS, format_named
from audit.models import Event, Export
from audit.reading import queries
from audit.reading.cursors import Cursor
from audit.reading.filters import Search

_MOST_LISTED = 100
_PARAMETERS = (
    OpenApiParameter(
        "format",
        str,
        enum=list(FORMATS),
        default="ndjson",
        description="All but `csv` are a JSON object a line; `ndjson` has the events of this API.",
    ),
    OpenApiParameter("order", str, enum=["oldest", "newest"], default="oldest", description="By time recorded."),
    OpenApiParameter(
        "cursor",
        str,
        description=(
            "The header `X-Audit-Cursor` of an export that broke off: the same events again, or from behind `after`. Or"
            " `resume` of a search: what was committed since."
        ),
    ),
    OpenApiParameter("after", int, description="With `cursor`: the id of the last event that arrived whole."),
)


class MayExportLedger(permissions.BasePermission):
    """A permission to export beside the one to read, and, for a token, the scope `audit:export`."""

    message = "Exporting needs the permission audit.export_event as well; a token needs the scope audit:export as well."

    def has_permission(self, request: Request, view: APIView) -> bool:
        is_granted = streaming.may_export(request.user, getattr(request.auth, "scopes", None))
        if not is_granted:
            recording.record("audit.ledger.export_denied", outcome="denied")
        return is_granted


class ExportThrottle(LedgerThrottle):
    """So many exports an hour for each token, or person where there's none: `AUDIT_EXPORT_RATE`."""

    scope = "audit-export"

    def get_rate(self) -> str | None:
        return conf.export_rate()


class AnyFormat(DefaultContentNegotiation):
    """Answers errors in JSON: `format` is the export's, which Django REST framework would take for its own."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class ExportStream(LedgerView):
    """Take away what a search finds, as it's found."""

    content_negotiation_class = AnyFormat
    permission_classes = [MayReadLedger, MayExportLedger]
    throttle_classes = [ExportThrottle]
    http_method_names = ["get", "options"]

    @extend_schema(
        operation_id="audit_export",
        tags=["audit"],
        parameters=parameters(*_PARAMETERS),
        responses={
            (200, "application/x-ndjson"): OpenApiResponse(
                OpenApiTypes.STR, description="One event a line. `X-Audit-Cursor` is where it began."
            ),
            (200, "text/csv"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        """All events that match every filter, however many, as they were when it began.

        Its beginning and its end are recorded. Where it breaks off, ask again with `cursor` and `after`.
        """
        form = format_named(request.query_params.get("format") or "ndjson")
        search = self.search_of(request, beside=("format", "order", "cursor", "after"))
        begin = self.cursor_of(request)
        behind = self._behind(request, begin, search)
        stream = streaming.Stream(search, behind, form, access_for(request), has_header=behind == begin)
        is_async = isinstance(request._request, ASGIRequest)
        response = StreamingHttpResponse(_in_threads(stream) if is_async else stream, content_type=form.content_type)
        if is_async:
            response._resource_closers.append(stream.close)  # type: ignore[attr-defined]
        name = f"audit-{timezone.now():%Y%m%dT%H%M%SZ}.{form.suffix}"
        return _guarded(response, name, {"X-Audit-Cursor": str(replace(stream.cursor, position=begin.position))})

    def cursor_of(self, request: Request) -> Cursor:
        is_named = request.query_params.keys() & {"cursor", "order"}
        return super().cursor_of(request) if is_named else Cursor("oldest")

    def _behind(self, request: Request, begin: Cursor, search: Search) -> Cursor:
        """Return the place behind the event that `after` names; it has to be one of this search."""
        text = request.query_params.get("after")
        if text is None:
            return begin
        if not begin.snapshot:
            raise FilterError({"after": ["Give the cursor of the export that broke off as well: X-Audit-Cursor."]})
        is_id = text.isascii() and text.isdigit() and len(text) < 19
        last: Event | None = queries.event(int(text), search.conditions) if is_id else None
        if last is None:
            raise FilterError({"after": [f"“{text[:100]}” is no event of this export."]})
        return replace(begin, position=(last.recorded_at, last.pk))


class ExportRequestSerializer(serializers.Serializer[Any]):
    """What an export in the background is to hold, for the schema."""

    format = serializers.ChoiceField(list(FORMATS))
    filters = serializers.DictField(child=serializers.CharField(), required=False, help_text="As those of the search.")


class ExportSerializer(serializers.Serializer[Any]):
    """An export in the background, for the schema."""

    id = serializers.UUIDField()
    url = serializers.URLField()
    state = serializers.ChoiceField(Export.State.choices)
    format = serializers.ChoiceField(list(FORMATS))
    filters = serializers.DictField()
    event_count = serializers.IntegerField(help_text="How many events the file has so far.")
    estimated_count = serializers.IntegerField(
        allow_null=True, help_text="About how many it will have; null where not known."
    )
    size_bytes = serializers.IntegerField(allow_null=True)
    sha256 = serializers.CharField(allow_null=True, help_text="Of the file, in hexadecimal.")
    error = serializers.CharField(help_text="Why there's no file.")
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True, help_text="Until when the file can be fetched.")
    file = serializers.URLField(allow_null=True, help_text="Where the file is; null where there's none.")


class ExportViewBase(LedgerView):
    """What the views of exports in the background share: one's own exports alone."""

    permission_classes = [MayReadLedger, MayExportLedger]

    def own(self, request: Request, export_id: UUID) -> Export:
        """Return one of the reader's own exports.

        Raises:
            Http404: they have no such.
        """
        export = files.exports_of(request.user).filter(pk=export_id).first()
        if export is None:
            raise Http404
        return export


class ExportList(ExportViewBase):
    """Exports in the background."""

    def get_throttles(self) -> list[Any]:
        return [ExportThrottle()] if self.request.method == "POST" else super().get_throttles()

    @extend_schema(
        operation_id="audit_exports_list",
        tags=["audit"],
        responses=inline_serializer("ExportPage", {"results": ExportSerializer(many=True)}),
    )
    def get(self, request: Request) -> Response:
        """One's own exports, newest first; the last 100."""
        found = files.exports_of(request.user)[:_MOST_LISTED]
        return Response({"results": [_shown(request, one) for one in found]})

    @extend_schema(
        operation_id="audit_exports_create",
        tags=["audit"],
        request=ExportRequestSerializer,
        responses={202: ExportSerializer},
        examples=[
            OpenApiExample("denials", value={"format": "csv", "filters": {"outcome": "denied"}}, request_only=True)
        ],
    )
    def post(self, request: Request) -> Response:
        """Have all events that match every filter written to a file, and be told here how far it is."""
        form, asked = _understood(request.data)
        try:
            export = asking.request_export(request.user, getattr(request.auth, "scopes", None), form, asked)
        except ExportError as error:
            raise _answer_to(error) from error
        shown = _shown(request, export)
        return Response(shown, status=202, headers={"Location": shown["url"]})


class ExportDetail(ExportViewBase):
    """One export in the background."""

    @extend_schema(tags=["audit"], responses=ExportSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """How far one of one's own exports is."""
        return Response(_shown(request, self.own(request, pk)))


class ExportFile(ExportViewBase):
    """The file of an export."""

    http_method_names = ["get", "options"]

    @extend_schema(tags=["audit"], responses={(200, "application/gzip"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        """The file of one of one's own exports, compressed with gzip. Fetching it is recorded."""
        export = self.own(request, pk)
        try:
            opened = files.open_file(export, access_for(request))
        except ExportError as error:
            raise _answer_to(error) from error
        except FileNotFoundError as error:
            raise _no_file(export) from error
        return _guarded(FileResponse(opened, content_type="application/gzip"), files.name_of(export), {})


class _ConflictError(exceptions.APIException):
    status_code = 409


class _GoneError(exceptions.APIException):
    status_code = 410


class _UnavailableError(exceptions.APIException):
    status_code = 503


def _no_file(export: Export) -> exceptions.APIException:
    match export.state:
        case Export.State.WAITING | Export.State.RUNNING:
            return _ConflictError("This export isn't finished yet.")
        case Export.State.FAILED:
            return _GoneError(f"This export failed. {export.error}")
    return _GoneError("This export has expired. Ask for it anew.")


def _answer_to(error: ExportError) -> exceptions.APIException:
    match error:
        case TooManyExportsError():
            return _ConflictError(str(error))
        case ExportsUnavailableError():
            return _UnavailableError(str(error))
        case ExportDeniedError():
            return exceptions.PermissionDenied(str(error))
    return exceptions.ValidationError(str(error))


def _understood(data: Any) -> tuple[str, dict[str, Any]]:
    """Return the format and filters that a body asks for.

    Raises:
        FilterError: it's none of what is expected.
    """
    body = data if isinstance(data, Mapping) else {}
    asked = body.get("filters", {})
    problems = {str(name): ["There are format and filters."] for name in body if name not in ("format", "filters")}
    if not isinstance(body.get("format"), str):
        problems["format"] = [f"Give one of: {', '.join(FORMATS)}."]
    if not isinstance(asked, Mapping):
        problems["filters"] = ['Give an object, such as {"action": "blog."}.']
    else:
        wrong = [name for name, value in asked.items() if not isinstance(value, str | int)]
        problems |= {str(name): ["Give a text."] for name in wrong}
    if problems:
        raise FilterError(problems)
    return body["format"], dict(asked)


def _shown(request: Request, export: Export) -> dict[str, Any]:
    is_finished = export.state == Export.State.FINISHED
    return {
        "id": export.pk,
        "url": link(request, reverse("audit-export", args=[export.pk])),
        "state": export.state,
        "format": export.format,
        "filters": export.filters,
        "event_count": export.event_count,
        "estimated_count": export.estimated_count or None,
        "size_bytes": export.size_bytes or None,
        "sha256": export.sha256_hex or None,
        "error": export.error,
        "created_at": export.created_at,
        "finished_at": export.finished_at,
        "expires_at": export.expires_at if is_finished else None,
        "file": link(request, reverse("audit-export-file", args=[export.pk])) if is_finished else None,
    }


def _guarded(response: HttpResponseBase, name: str, headers: Mapping[str, str]) -> HttpResponseBase:
    """Have a browser save a response under `name`, and neither show, guess at nor keep it."""
    guards = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    for header, value in {**guards, **headers}.items():
        response.headers[header] = value
    return response


async def _in_threads(stream: streaming.Stream) -> AsyncIterator[bytes]:
    """The same stream for ASGI, where Django would otherwise collect all of it before the first byte."""
    while (data := await sync_to_async(lambda: next(stream, None))()) is not None:
        yield data
