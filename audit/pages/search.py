"""`/audit/`: the search, with its filters in the address, and how its events spread."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from audit import recording
from audit.errors import CursorError, FilterError, SearchTooLongError
from audit.models import SavedSearch
from audit.pages.base import for_readers
from audit.reading import charts, filters, queries
from audit.reading.access import EXPORT, Access
from audit.reading.cursors import Cursor, parse
from audit.reading.filters import Search

_PAGE_SIZE = 50
_BESIDE_FILTERS = ("cursor", "order", "field", "from", "to")
_MAIN = ("q", "action", "object_type", "object_id", "actor", "since", "until")
_LONGEST_CHART = timedelta(days=120)
_LISTED: tuple[tuple[str, queries.Facet], ...] = (("By action", "action"), ("By actor", "actor"))
_OUTCOMES = (("", "any"), ("success", "success"), ("denied", "denied"), ("error", "error"), ("!success", "not success"))


@for_readers
def events(request: HttpRequest, access: Access) -> HttpResponse:
    """The events that match the filters in the address, newest first."""
    if request.GET.get("field"):
        return redirect(f"?{urlencode(_with_value_filter(request))}")
    given = _given(request)
    order = "oldest" if request.GET.get("order") == "oldest" else "newest"
    page, total, errors = None, None, {}
    try:
        search = filters.parse(given, access)
        cursor = parse(request.GET["cursor"]) if request.GET.get("cursor") else Cursor(order)  # type: ignore[arg-type]
        page = queries.page(search, cursor, limit=_PAGE_SIZE)
        total = queries.total(search)
        recording.record("audit.ledger.read", changes={"filters": given, "events": len(page.events)})
    except (FilterError, CursorError, SearchTooLongError) as error:
        errors = problems_of(error)
    kept = given if order == "newest" else {**given, "order": order}
    context = {
        "access": access,
        "page": page,
        "total": total,
        "errors": errors,
        "given": given,
        "order": order,
        "query": urlencode(given),
        "other_order": urlencode({**given, **({"order": "oldest"} if order == "newest" else {})}),
        "next": urlencode({**kept, "cursor": page.next}) if page and page.next else "",
        "is_first": not request.GET.get("cursor"),
        "fields": _fields(given, errors, is_main=True),
        "more_fields": _fields(given, errors, is_main=False),
        "has_more_filters": any(name not in _MAIN for name in given),
        "value_filters": [{"name": name, "value": text} for name, text in given.items() if name.startswith("changes.")],
        "other_errors": [(name, texts) for name, texts in errors.items() if name not in filters.BY_NAME],
        "first": urlencode(kept),
        "saved": SavedSearch.objects.filter(owner_id=request.user.pk),
        "may_export": request.user.has_perm(EXPORT),
    }
    return render(request, "audit/search.html", context, status=400 if errors else 200)


@for_readers
def overview(request: HttpRequest, access: Access) -> HttpResponse:
    """How a search's events spread over days, actions and actors: a part of the page, asked for once that is there."""
    given = _given(request)
    try:
        search = filters.parse(given, access)
        facets = {by: queries.facet(search, by) for by in ("day", "action", "actor")}
    except (FilterError, SearchTooLongError) as error:
        return render(request, "audit/overview.html", {"errors": problems_of(error)}, status=400)
    recording.record("audit.ledger.read", changes={"filters": given, "facet": "day,action,actor"})
    lists = [
        {
            "title": title,
            "values": [
                {"label": one.label or "none", "count": one.count, "query": _narrowed(given, by, one.value)}
                for one in facets[by][:8]
                if one.value
            ],
        }
        for title, by in _LISTED
    ]
    chart = _chart(search, given, {one.value: one.count for one in facets["day"]})
    return render(request, "audit/overview.html", {"chart": chart, "lists": lists})


def problems_of(error: FilterError | CursorError | SearchTooLongError) -> dict[str, list[str]]:
    """Return what is wrong with a search by the name of its filter."""
    if isinstance(error, FilterError):
        return error.problems
    return {"cursor" if isinstance(error, CursorError) else "since": [str(error)]}


def _given(request: HttpRequest) -> dict[str, str]:
    return {
        name: text.strip()
        for name, text in request.GET.items()
        if isinstance(text, str) and text.strip() and name not in _BESIDE_FILTERS
    }


def _with_value_filter(request: HttpRequest) -> dict[str, str]:
    """The filters with what the form's three fields for a changed value say, as the filter that they mean."""
    given = _given(request)
    field = request.GET["field"].strip()
    sides = {f"changes.{field}.{side}": request.GET.get(side, "").strip() for side in ("from", "to")}
    meant = {name: text for name, text in sides.items() if text}
    return {**given, **(meant or {"changed": field})}


def _fields(given: dict[str, str], errors: dict[str, list[str]], *, is_main: bool) -> list[dict[str, Any]]:
    return [
        {
            "filter": one,
            "value": given.get(one.name, ""),
            "errors": errors.get(one.name, []),
            "choices": _OUTCOMES if one.name == "outcome" else (),
        }
        for one in (filters.BY_NAME[name] for name in sorted(filters.BY_NAME, key=_place))
        if (one.name in _MAIN) == is_main
    ]


def _place(name: str) -> int:
    return _MAIN.index(name) if name in _MAIN else len(_MAIN)


def _narrowed(given: dict[str, str], by: queries.Facet, value: str) -> str:
    return urlencode({**given, **queries.narrowed(by, value)})


def _chart(search: Search, given: dict[str, str], counted: dict[str, int]) -> charts.Chart | None:
    if not counted:
        return None
    bounded = queries.bounded(search)
    last = min(bounded.until or timezone.now(), timezone.now()).date()
    first = max(bounded.since.date() if bounded.since else last, last - _LONGEST_CHART)
    days = charts.each_day(counted, first, max(first, last))
    return charts.bars([(day, count, _narrowed(given, "day", day)) for day, count in days])
