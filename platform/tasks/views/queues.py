"""The queues: how they stand, and the switch to pause one."""

from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from tasks import rules
from tasks.actions import operating
from tasks.errors import NotPossibleError
from tasks.forms import ReasonForm
from tasks.models import Queue
from tasks.queues import known_queues, queue_standings
from tasks.views.answering import for_members, member


@require_safe
@for_members
def queue_list(request: HttpRequest) -> HttpResponse:
    """Show how each queue stands."""
    return _page(request)


@require_POST
@for_members
def pause(request: HttpRequest, name: str) -> HttpResponse:
    """Let no further task of a queue begin."""
    return _operate(request, name, operating.pause_queue, f"{name} is paused. What waits in it, waits.")


@require_POST
@for_members
def resume(request: HttpRequest, name: str) -> HttpResponse:
    """Let a queue go on."""
    return _operate(request, name, operating.resume_queue, f"{name} goes on. What waited is sent within seconds.")


def _operate(request: HttpRequest, name: str, action: Callable[..., Queue], said: str) -> HttpResponse:
    form = ReasonForm(request.POST)
    rules.require(rules.can_change_queues, request.user, None, action=action.__name__)
    if name not in known_queues():
        raise Http404(f"There is no queue {name!r}.")
    if not form.is_valid():
        return _page(request, name, form, status=400)
    try:
        action(name, actor=member(request), reason=form.cleaned_data["reason"])
    except NotPossibleError as error:
        form.add_error(None, str(error))
        return _page(request, name, form, status=409)
    messages.success(request, said)
    return redirect("tasks:queue_list")


def _page(request: HttpRequest, name: str = "", form: ReasonForm | None = None, status: int = 200) -> HttpResponse:
    rules.require(rules.can_see_all_runs, request.user, None, action="view_queues")
    shown = {
        "queues": queue_standings(),
        "refused": name,
        "form": form,
        "can_change": rules.can_change_queues(request.user),
    }
    return render(request, "tasks/queue_list.html", shown, status=status)
