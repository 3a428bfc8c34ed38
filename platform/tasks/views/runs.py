"""The list of tasks, and one of them."""

import uuid
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from audit.errors import SearchTooLongError
from tasks import filters, showing
from tasks.actions import operating
from tasks.errors import FilterError, KeyFormError, NotPossibleError
from tasks.filters import FILTERS
from tasks.forms import ReasonForm
from tasks.lines import lines_of
from tasks.listing import Place, RunPage, run_page
from tasks.models import NO_LIMIT, State, TaskRun
from tasks.queries import family_of
from tasks.queues import known_queues
from tasks.rules import can_change_all_runs, can_change_run, can_see_all_runs
from tasks.views.answering import for_members, member, visible_run

_RETRIABLE = (State.DEAD, State.CANCELLED)


@require_safe
@for_members
def run_list(request: HttpRequest) -> HttpResponse:
    """Show the runs that the visitor may see, newest first, narrowed by the filters in the query."""
    place = Place(request.GET.get("before", ""), request.GET.get("after", ""))
    given = {one.name: text for one in FILTERS if (text := request.GET.get(one.name, "").strip())}
    page, problems = RunPage([]), {}
    try:
        page = run_page(request.user, filters.parse(given), place)
    except FilterError as error:
        problems = error.problems
    except KeyFormError as error:
        problems = {"": [str(error)]}
    except SearchTooLongError:
        problems = {"": ["This takes too long to find. Say since when, or narrow it by another filter."]}
    query = urlencode(given)
    shown = {
        "page": page,
        "blank": defaultdict(str),  # what new rows are made of
        "query": query,
        # What the socket follows: what the page shows.
        "followed": "off" if problems else urlencode({**given, **_asked(request, "before", "after")}),
        "problems": problems.get("", []),
        "has_problems": bool(problems),
        "fields": _fields(given, problems, sees_all=can_see_all_runs(request.user)),
        "is_narrowed": bool(given.keys() - {"state"}),
        "state": given.get("state", ""),
        "states": [(value, label, urlencode({**given, "state": value})) for value, label in State.choices],
        "any_state": urlencode({name: text for name, text in given.items() if name != "state"}),
        "sees_all": can_see_all_runs(request.user),
        "can_retry_many": can_change_all_runs(request.user),
    }
    return render(request, "tasks/run_list.html", shown)


@require_safe
@for_members
def run(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Show one run: what became of it, why it ran, what it told."""
    return _page_of(request, visible_run(request, run_id))


@require_POST
@for_members
def retry(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Run a dead or cancelled task again."""
    said = "It waits for a worker again."
    return _operate(request, run_id, operating.retry_run, said)


@require_POST
@for_members
def cancel(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Cancel a run."""
    said = "It is cancelled; where a worker has it, it stops when it next tells of its progress."
    return _operate(request, run_id, operating.cancel_run, said)


def _operate(request: HttpRequest, run_id: uuid.UUID, action: Callable[..., TaskRun], said: str) -> HttpResponse:
    found, form = visible_run(request, run_id), ReasonForm(request.POST)
    if not form.is_valid():
        return _page_of(request, found, form, status=400)
    try:
        action(found, actor=member(request), reason=form.cleaned_data["reason"])
    except NotPossibleError as error:
        form.add_error(None, str(error))
        return _page_of(request, visible_run(request, run_id), form, status=409)
    messages.success(request, said)
    return redirect("tasks:run", run_id)


def _page_of(request: HttpRequest, found: TaskRun, form: ReasonForm | None = None, status: int = 200) -> HttpResponse:
    may_change = can_change_run(request.user, found)
    follows_requests = request.user.has_perm("accounts.view_request_page")
    shown = {
        "run": found,
        "tries": found.tries,
        "most_attempts": found.max_attempts if found.max_attempts < NO_LIMIT else None,
        "progress": showing.progress_of(found),
        "result": showing.result_of(found),
        "family": family_of(found, request.user),
        # Those who may follow requests see them there as well.
        "lines": lines_of(found) if follows_requests else [],
        "shows_lines": follows_requests,
        "form": form or ReasonForm(),
        "can_retry": may_change and found.state in _RETRIABLE and found.message is not None,
        "can_cancel": may_change and not found.is_finished and found.cancel_requested_at is None,
    }
    return render(request, "tasks/run.html", shown, status=status)


def _asked(request: HttpRequest, *names: str) -> dict[str, str]:
    return {name: request.GET[name] for name in names if request.GET.get(name)}


def _fields(given: dict[str, str], problems: dict[str, list[str]], *, sees_all: bool) -> list[dict[str, Any]]:
    """Return the filters as a form shows them; the state has links of its own."""
    return [
        {
            "filter": one,
            "value": given.get(one.name, ""),
            "problems": problems.get(one.name, []),
            "choices": known_queues() if one.name == "queue" else [],
        }
        for one in FILTERS
        if one.name != "state" and (sees_all or one.name != "person")
    ]
