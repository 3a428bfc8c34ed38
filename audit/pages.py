"""The ledger as a page."""

from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit import queries, recording
from audit.api import EventFilters

_PAGE_SIZE = 50


@login_required
@permission_required("audit.view_event", raise_exception=True)
def events(request: HttpRequest) -> HttpResponse:
    """The ledger's latest events, by the filters of the API."""
    given = {key: value for key, value in request.GET.items() if value and key != "before"}
    filters = EventFilters(data=given)
    found = []
    if filters.is_valid():
        rows = queries.events(**filters.validated_data)
        before = request.GET.get("before", "")
        if before.isdigit():
            rows = rows.filter(id__lt=int(before))
        found = list(rows[: _PAGE_SIZE + 1])
        recording.record("audit.ledger.read", changes={"filters": given, "events": len(found[:_PAGE_SIZE])})
    query = request.GET.copy()
    if has_more := len(found) > _PAGE_SIZE:
        query["before"] = str(found[_PAGE_SIZE - 1].pk)
    return render(
        request,
        "audit/events.html",
        {
            "events": found[:_PAGE_SIZE],
            "errors": filters.errors,
            "given": given,
            "older": query.urlencode() if has_more else "",
        },
        status=400 if filters.errors else 200,
    )
