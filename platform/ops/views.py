"""The request page, and the list that leads to it; for whoever may follow requests."""

from dataclasses import replace

import redis
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

import audit
from audit.reading.access import access_of
from audit.values import dumps
from ops import story
from telemetry.context import is_request_id
from telemetry.tracing.store import recent_spans


@login_required
@permission_required("accounts.view_request_page", raise_exception=True)
def requests(request: HttpRequest) -> HttpResponse:
    """The latest requests; `?q=` goes to one by its request id or trace id."""
    wanted = request.GET.get("q", "").strip()
    store = recent_spans()
    try:
        if wanted and is_request_id(wanted):
            return redirect("ops:request", request_id=store.request_of_trace(wanted) or wanted)
        latest = [_row(span) for span in store.latest(60)]
        problem = "" if not wanted else "A request id or trace id has 8 to 64 letters, digits, - and _."
    except redis.RedisError:
        latest, problem = [], "The store of recent spans doesn't answer. Requests are served all the same."
    return render(request, "ops/requests.html", {"latest": latest, "problem": problem, "wanted": wanted})


@login_required
@permission_required("accounts.view_request_page", raise_exception=True)
def request_page(request: HttpRequest, request_id: str) -> HttpResponse:
    """One request's story; `?format=json` gives it as data."""
    if not is_request_id(request_id):
        raise Http404("That is no request id.")
    told = story.tell(request_id)
    # Whoever may follow requests sees what they changed; personal values only by the ledger's own permissions.
    access = replace(access_of(request.user), object_types=None)
    if told.event_count:
        audit.record("audit.ledger.read", changes={"filters": {"request": request_id}, "events": told.event_count})
    status = 404 if told.is_empty else 200
    if request.GET.get("format") == "json":
        return HttpResponse(dumps(story.as_json(told, access)), status=status, content_type="application/json")
    return render(request, "ops/request.html", {"story": told, "access": access}, status=status)


def _row(span: dict[str, object]) -> dict[str, object]:
    attributes = span["attributes"]
    values = attributes if isinstance(attributes, dict) else {}
    begin, end = span["start_ns"], span["end_ns"]
    return {
        "request_id": span["request_id"],
        "name": span["name"],
        "path": values.get("url.path", ""),
        "status": values.get("http.response.status_code", ""),
        "statements": values.get("db.statements", ""),
        "span_count": span["span_count"],
        "is_error": span["status"] == "error",
        "process": span["process"],
        "seconds_ago_ns": begin,
        "duration_ms": (end - begin) / 1e6 if isinstance(begin, int) and isinstance(end, int) else 0.0,
    }
