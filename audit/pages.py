"""The ledger as a page."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit import filters, queries, recording
from audit.access import access_of
from audit.cursors import Cursor, parse
from audit.errors import CursorError, FilterError

_PAGE_SIZE = 50


@login_required
def events(request: HttpRequest) -> HttpResponse:
    """The ledger's events, by the filters of the API."""
    access = access_of(request.user)
    if not access.is_any:
        recording.record("audit.ledger.read_denied", outcome="denied")
        raise PermissionDenied
    given = {key: value for key, value in request.GET.items() if value and key != "cursor"}
    errors: dict[str, list[str]] = {}
    page = None
    try:
        search = filters.parse(given, access)
        cursor = parse(request.GET["cursor"]) if request.GET.get("cursor") else Cursor()
        page = queries.page(search, cursor, limit=_PAGE_SIZE)
        recording.record("audit.ledger.read", changes={"filters": given, "events": len(page.events)})
    except FilterError as error:
        errors = error.problems
    except CursorError as error:
        errors = {"cursor": [str(error)]}
    query = request.GET.copy()
    if page and page.next:
        query["cursor"] = str(page.next)
    return render(
        request,
        "audit/events.html",
        {
            "events": page.events if page else [],
            "errors": errors,
            "given": given,
            "older": query.urlencode() if page and page.next else "",
        },
        status=400 if errors else 200,
    )
