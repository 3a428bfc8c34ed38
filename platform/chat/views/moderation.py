"""Keeping order in the whole chat: what was reported, and who is muted or banned."""

from typing import cast, get_args

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from chat import actions, queries, rules
from chat.actions.moderating import Verdict
from chat.errors import InvalidError
from chat.models import ReportState, Restriction
from chat.views.about import impose
from chat.views.answering import entered, for_members, member, number, told_on_page

_PAGE_SIZE = 20
_MOST_RESTRICTIONS = 100


def _require_moderator(request: HttpRequest) -> None:
    why = "Reports are read by moderators."
    rules.require(rules.is_site_moderator(request.user), None, action="moderate_chat", why=why)


@require_safe
@for_members
def moderation(request: HttpRequest) -> HttpResponse:
    """Show reports, those that wait first, and the mutes and bans in force."""
    _require_moderator(request)
    state = request.GET.get("state", ReportState.OPEN)
    reports = queries.reports_visible_to(request.user).select_related("resolved_by")
    if state in ReportState.values:
        reports = reports.filter(state=state)
    restrictions = queries.restrictions_visible_to(None, request.user).filter(lifted_at=None)
    context = {
        "page": Paginator(reports, _PAGE_SIZE).get_page(request.GET.get("page")),
        "state": state,
        "states": [*ReportState.choices, ("all", "All")],
        "restrictions": restrictions[:_MOST_RESTRICTIONS],
        "now": queries.now(),
    }
    return render(request, "chat/moderation.html", context)


@require_POST
@for_members
def resolve_report(request: HttpRequest, report_id: int) -> HttpResponse:
    """Dismiss a report, or act on it."""
    _require_moderator(request)
    report = queries.reports_visible_to(request.user).filter(pk=report_id).first()
    if report is None:
        raise Http404("There is no such report.")
    verdict, minutes = request.POST.get("verdict", ""), request.POST.get("minutes", "").strip()
    with told_on_page(request, "The report is resolved, and those whom it concerns are told."):
        if verdict not in get_args(Verdict):
            raise InvalidError("Choose what is to be done.", field="action")
        if minutes and number(minutes) is None:
            raise InvalidError("Give the minutes as a whole number, or leave them out for no end.", field="minutes")
        actions.resolve_report(
            report,
            actor=member(request),
            verdict=cast(Verdict, verdict),
            note=request.POST.get("note", "").replace("\x00", ""),
            minutes=number(minutes),
        )
    return redirect("chat:moderation")


@require_POST
@for_members
def restrict(request: HttpRequest) -> HttpResponse:
    """Mute or ban somebody in all rooms or in one."""
    _require_moderator(request)
    slug = request.POST.get("room", "").strip()
    access = entered(request, slug) if slug else None
    with told_on_page(request, "It holds from now on, and they are told."):
        impose(request, access, member(request))
    return redirect("chat:moderation")


@require_POST
@for_members
def lift(request: HttpRequest, restriction_id: int) -> HttpResponse:
    """End a mute or ban before its time."""
    _require_moderator(request)
    found = Restriction.objects.select_related("room").filter(pk=restriction_id).first()
    if found is None:
        raise Http404("There is no such mute or ban.")
    with told_on_page(request, "It's lifted."):
        actions.lift(found, actor=member(request))
    return redirect("chat:moderation")
