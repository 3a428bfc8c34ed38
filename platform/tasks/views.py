"""The page of background tasks."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from tasks.models import State
from tasks.queries import runs_visible_to

_PAGE_SIZE = 50


@require_safe
@login_required
def run_list(request: HttpRequest) -> HttpResponse:
    """Show the runs that the visitor may see, newest first; `?state=` narrows them."""
    runs = runs_visible_to(request.user).defer("message", "carrier", "arguments")
    state = request.GET.get("state", "")
    if state in State.values:
        runs = runs.filter(state=state)
    else:
        state = ""
    page = Paginator(runs, _PAGE_SIZE).get_page(request.GET.get("page"))
    return render(
        request,
        "tasks/run_list.html",
        {
            "page": page,
            "state": state,
            "states": State.choices,
            "sees_all": request.user.has_perm("tasks.view_taskrun"),
        },
    )
