"""Retrying many at once: first how many and which, then with a reason."""

from collections import Counter
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from audit.errors import SearchTooLongError
from tasks import filters, rules
from tasks.actions import operating
from tasks.actions.operating import MOST_AT_ONCE
from tasks.errors import FilterError
from tasks.filters import FILTERS, Narrowing
from tasks.forms import ReasonForm
from tasks.models import State, TaskRun
from tasks.queries import bounded, dead_among, runs_visible_to
from tasks.views.answering import for_members, member

_SHOWN = 20
_LONGEST_SECONDS = 5


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def retry_many(request: HttpRequest) -> HttpResponse:
    """Show which dead runs the filters in the query name; with a reason, retry them."""
    rules.require(rules.can_change_all_runs, request.user, None, action="retry")
    given = {one.name: text for one in FILTERS if (text := request.GET.get(one.name, "").strip())}
    given["state"] = State.DEAD.value  # others can't be
    try:
        narrowing = filters.parse(given)
    except FilterError as error:
        return _page(request, given, problems=[f"{name}: {' '.join(said)}" for name, said in error.problems.items()])
    if request.method != "POST":
        return _page(request, given, narrowing)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _page(request, given, narrowing, form, status=400)
    runs = narrowing.of(runs_visible_to(request.user))
    count = operating.retry_runs(runs, actor=member(request), reason=form.cleaned_data["reason"])
    messages.success(request, f"{count:,} {'task waits' if count == 1 else 'tasks wait'} for a worker again.")
    return redirect(f"{reverse('tasks:run_list')}?{urlencode({**given, 'state': ''})}")


def _page(
    request: HttpRequest,
    given: dict[str, str],
    narrowing: Narrowing | None = None,
    form: ReasonForm | None = None,
    *,
    problems: list[str] | None = None,
    status: int = 200,
) -> HttpResponse:
    names: list[str] = []
    runs: list[TaskRun] = []
    if narrowing:
        found = dead_among(narrowing.of(runs_visible_to(request.user)))
        try:
            with bounded(_LONGEST_SECONDS):
                names = list(found.values_list("name", flat=True)[: MOST_AT_ONCE + 1])
                runs = list(found.defer("message", "carrier", "arguments", "result")[:_SHOWN])
        except SearchTooLongError:
            problems = ["This takes too long to find. Say since when, or narrow it by another filter."]
    shown = {
        "given": {name: text for name, text in given.items() if name != "state"},
        "query": urlencode(given),
        "problems": problems or [],
        "count": min(len(names), MOST_AT_ONCE),
        "has_more": len(names) > MOST_AT_ONCE,
        "by_name": Counter(names[:MOST_AT_ONCE]).most_common(),
        "runs": runs,
        "form": form or ReasonForm(),
    }
    return render(request, "tasks/retry_many.html", shown, status=status)
