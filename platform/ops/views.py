"""How the platform does, the request page and the ways to it, for whoever may follow requests."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import redis
from django.contrib.auth.decorators import login_required, permission_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

import audit
from audit.errors import FilterError, SearchTooLongError
from audit.reading.access import access_of
from audit.values import dumps
from ops import data, links, lookup, story
from ops.pulse import drawing, sampling, series
from ops.pulse.verdicts import verdicts
from tasks.models import TaskRun
from tasks.queries import dead_among
from telemetry.context import is_request_id

View: TypeAlias = Callable[..., HttpResponseBase]

_HINT = "Give the id of a request, a trace or a task, a username, user:7, or an object such as blog.post/42."


def _for_followers(view: View) -> View:
    """Let in those who may follow requests, and only to read."""
    permitted = permission_required("accounts.view_request_page", raise_exception=True)(view)
    return require_safe(login_required(permitted))


@_for_followers
def overview(request: HttpRequest) -> HttpResponse:
    """How the platform does now and did over the last hour; `?format=json` gives the series."""
    shown: dict[str, Any] = {"problem": ""}
    try:
        samples = sampling.kept()
    except redis.RedisError:
        samples, shown["problem"] = [], "The store of samples doesn't answer. The platform runs all the same."
    now = time.time()
    signals = series.signals(samples)
    if request.GET.get("format") == "json":
        told = {signal.key: {"unit": signal.unit, "points": signal.points} for signal in signals}
        return _json({"signals": told, "problem": shown["problem"]}, 200)
    if len(samples) > 1:
        shown["verdicts"] = verdicts(samples, signals)
        shown["pictures"] = [drawing.picture(signal, now) for signal in signals]
        shown["age_seconds"] = round(now - samples[-1].at)
        shown["is_old"] = now - samples[-1].at > 4 * sampling.EVERY_SECONDS
    if request.user.has_perm("tasks.view_taskrun"):
        shown["dead_count"] = dead_among(TaskRun.objects.all()).count()
    return render(request, "ops/overview.html", shown)


@_for_followers
def requests(request: HttpRequest) -> HttpResponse:
    """The latest requests; `?q=` leads to whatever it names."""
    wanted = request.GET.get("q", "").strip()[:500]
    problem = ""
    try:
        if wanted and (address := _address_of(lookup.find(wanted))):
            return redirect(address)
        rows = lookup.latest()
        if wanted:
            problem = f"Nothing is known of “{wanted}”. {_HINT}"
    except redis.RedisError:
        rows, problem = [], "The store of recent spans doesn't answer. Requests are served all the same."
    return _list(request, rows, {"title": "Requests", "problem": problem, "wanted": wanted, "hint": _HINT})


@_for_followers
def request_page(request: HttpRequest, request_id: str) -> HttpResponse:
    """One request's story; `?format=json` gives it as data. The id of a trace or a task leads to its request."""
    if not is_request_id(request_id):
        raise Http404("That is no request id.")
    told = story.tell(request_id)
    if told.is_empty:
        meant = lookup.find(request_id)
        if meant.kind == "request" and meant.id != request_id:
            return redirect(_with_format(request, _address_of(meant)))
    # Whoever may follow requests sees what they changed; personal values only by the ledger's own permissions.
    access = replace(access_of(request.user), object_types=None)
    if told.event_count:
        audit.record("audit.ledger.read", changes={"filters": {"request": request_id}, "events": told.event_count})
    status = 404 if told.is_empty else 200
    if request.GET.get("format") == "json":
        return _json(data.as_json(told, access), status)
    shown = {
        "story": told,
        "access": access,
        "curl": links.as_curl(told, request.build_absolute_uri("/")),
        "elsewhere": links.elsewhere(told),
    }
    return render(request, "ops/request.html", shown, status=status)


@_for_followers
def trace_page(request: HttpRequest, trace_id: str) -> HttpResponse:
    """Leads to the request of a trace."""
    request_id = lookup.request_of_trace(trace_id.lower()) if is_request_id(trace_id) else ""
    return _to_request(request, request_id)


@_for_followers
def task_page(request: HttpRequest, task_id: str) -> HttpResponse:
    """Leads to the request that a task ran for, at the task."""
    request_id = lookup.request_of_task(task_id) if is_request_id(task_id) else ""
    return _to_request(request, request_id, f"task-{task_id}")


@_for_followers
def user_page(request: HttpRequest, user_id: str) -> HttpResponse:
    """The latest requests of one user."""
    rows, problem = _found(lambda: lookup.requests_of_user(user_id), {"actor": user_id})
    title = f"Requests of {lookup.name_of_user(user_id)}"
    return _list(request, rows, {"title": title, "problem": problem, "wanted": f"user:{user_id}", "hint": _HINT})


@_for_followers
def object_page(request: HttpRequest, object_type: str, object_id: str) -> HttpResponse:
    """The latest requests that changed one object."""
    asked = {"object_type": object_type, "object_id": object_id}
    rows, problem = _found(lambda: lookup.requests_of_object(object_type, object_id), asked)
    shown = {"title": f"Requests that touched {object_type} {object_id}", "wanted": f"{object_type}/{object_id}"}
    return _list(request, rows, {**shown, "problem": problem, "hint": _HINT})


def _found(search: Callable[[], tuple[list[lookup.Row], int]], asked: dict[str, str]) -> tuple[list[lookup.Row], str]:
    """What a search of the ledger found; that it was read is an event too."""
    try:
        rows, count = search()
    except FilterError as error:
        return [], " ".join(text for problems in error.problems.values() for text in problems)
    except SearchTooLongError as error:
        return [], str(error)
    if count:
        audit.record("audit.ledger.read", changes={"filters": asked, "events": count})
    return rows, ""


def _list(request: HttpRequest, rows: Sequence[lookup.Row], shown: dict[str, Any]) -> HttpResponse:
    if request.GET.get("format") == "json":
        told = [row.as_dict() for row in rows]
        return _json({"title": shown["title"], "requests": told, "problem": shown["problem"]}, 200)
    return render(request, "ops/requests.html", {**shown, "rows": rows})


def _address_of(target: lookup.Target) -> str:
    match target.kind:
        case "request":
            anchor = f"#{target.anchor}" if target.anchor else ""
            return reverse("ops:request", args=[target.id]) + anchor
        case "user":
            return reverse("ops:user", args=[target.id])
        case "object":
            return reverse("ops:object", args=[target.type, target.id])
    return ""


def _to_request(request: HttpRequest, request_id: str, anchor: str = "") -> HttpResponse:
    if not request_id:
        raise Http404("Nothing is known of this id.")
    return redirect(_with_format(request, _address_of(lookup.Target("request", request_id, anchor=anchor))))


def _with_format(request: HttpRequest, address: str) -> str:
    if request.GET.get("format") != "json":
        return address
    path, _, anchor = address.partition("#")
    return f"{path}?format=json" + (f"#{anchor}" if anchor else "")


def _json(content: dict[str, Any], status: int) -> HttpResponse:
    return HttpResponse(dumps(content), status=status, content_type="application/json")
