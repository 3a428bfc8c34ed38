"""`/audit/exports/`: taking events away, at once or as a file made in the background."""

from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_http_methods

from audit import conf, recording
from audit.errors import AuditError, ExportDeniedError
from audit.exports import asking, files, streaming
from audit.exports.formats.known import FORMATS
from audit.pages.base import for_readers
from audit.reading.access import Access

_MOST_LISTED = 50
_BESIDE_FILTERS = ("cursor", "order")


@require_http_methods(["GET", "POST"])
@for_readers
def exports_page(request: HttpRequest, access: Access) -> HttpResponse:
    """One's own exports, and a form for another one of the search in the address."""
    if not streaming.may_export(request.user, None):
        recording.record("audit.ledger.export_denied", outcome="denied")
        raise PermissionDenied
    if request.method == "POST":
        return _request_export(request)
    asked = {name: text for name, text in request.GET.items() if name not in _BESIDE_FILTERS}
    found = list(files.exports_of(request.user)[:_MOST_LISTED])
    context = {
        "exports": [{"export": one, "query": urlencode(one.filters), "name": files.name_of(one)} for one in found],
        "is_any_unfinished": any(one.state in ("waiting", "running") for one in found),
        "formats": list(FORMATS),
        "query": urlencode(asked),
        "asked": asked,
        "stream": _stream_address(),
        "hours": conf.export_hours(),
    }
    return render(request, "audit/exports.html", context)


@for_readers
def file(request: HttpRequest, access: Access, export_id: UUID) -> HttpResponseBase:
    """The file of one of one's own exports."""
    export = files.exports_of(request.user).filter(pk=export_id).first()
    if export is None:
        raise Http404("You have no such export.")
    try:
        opened = files.open_file(export, access)
    except ExportDeniedError as error:
        raise PermissionDenied(str(error)) from error
    except FileNotFoundError as error:
        raise Http404("This export has no file: it isn't finished, or has expired.") from error
    response = FileResponse(opened, as_attachment=True, filename=files.name_of(export), content_type="application/gzip")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _request_export(request: HttpRequest) -> HttpResponse:
    query = request.POST.get("query", "")
    try:
        asking.request_export(request.user, None, request.POST.get("format", ""), dict(parse_qsl(query)))
    except AuditError as error:
        messages.error(request, str(error))
        return redirect(f"{reverse('audit:exports')}?{query}")
    messages.success(request, "The export is being made. This page shows how far it is.")
    return redirect("audit:exports")


def _stream_address() -> str:
    """Where the API gives an export at once; empty in a project without the API."""
    try:
        return reverse("audit-export-stream")
    except NoReverseMatch:
        return ""
