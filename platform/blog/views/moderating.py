"""Comments that shouldn't stand there: readers report them, moderators decide."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from blog import actions, limits, queries, rules
from blog.actions.moderating import DECISIONS
from blog.errors import InvalidError
from blog.forms import DecisionForm, ReportForm
from blog.models import Report
from blog.views.answering import for_members, member, visible_comment


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def report(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask what is wrong with a comment, and tell moderators."""
    comment = visible_comment(request, pk)
    rules.require(rules.can_report_comment, request.user, comment, action="report_comment")
    form = ReportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actions.report_comment(comment, actor=member(request), **form.cleaned_data)
        except InvalidError as error:
            form.add_invalid(error)
        else:
            messages.success(request, "Thank you. A moderator will look at it, and you'll be told what they decided.")
            return redirect(comment)
    status = 400 if form.errors else 200
    return render(request, "blog/report_comment.html", {"form": form, "comment": comment}, status=status)


@require_safe
@for_members
def queue(request: HttpRequest) -> HttpResponse:
    """List the comments that wait for a decision, or those that are hidden."""
    rules.require(rules.can_see_reports, request.user, None, action="see_reports")
    is_hidden = request.GET.get("show") == "hidden"
    comments = queries.hidden_comments() if is_hidden else queries.reported_comments()
    page = Paginator(comments, limits.POSTS_PER_PAGE).get_page(request.GET.get("page"))
    shown = [(comment, rules.can_moderate_comment(request.user, comment)) for comment in page]
    context = {
        "page": page,
        "comments": shown,
        "is_hidden": is_hidden,
        "pages_query": "show=hidden&" if is_hidden else "",
    }
    return render(request, "blog/moderation.html", context)


@require_POST
@for_members
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Do what the button says: leave the comment, hide it, delete it, or show it again."""
    comment = visible_comment(request, pk)
    rules.require(rules.can_moderate_comment, request.user, comment, action="decide_reports")
    form = DecisionForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(f"{message}" for errors in form.errors.values() for message in errors))
        return redirect("blog:moderation")
    if form.cleaned_data["decision"] == "visible":
        actions.show_comment(comment, actor=member(request))
        messages.success(request, "The comment is shown again.")
    else:
        actions.decide_reports(comment, actor=member(request), **form.cleaned_data)
        done = DECISIONS[Report.Decision(form.cleaned_data["decision"])]
        messages.success(request, f"The comment was {done}; those concerned are told.")
    return redirect("blog:moderation")
