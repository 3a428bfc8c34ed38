"""The pages of notifications; they work without scripts too."""

from typing import cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

import audit
from accounts.models import User
from notifications import actions, queries
from notifications.forms import PreferencesForm
from notifications.kinds import KINDS
from notifications.mailing.messages import MAILS_NAMES
from notifications.mailing.unsubscribing import read_token
from telemetry import context
from telemetry.context import Actor

_PAGE_SIZE = 30


@require_safe
@login_required
def notification_list(request: HttpRequest) -> HttpResponse:
    """Show what the visitor was told, what came last first; `unread` and `kind` narrow it."""
    kind = request.GET.get("kind", "")
    filters = {"kind": kind} if kind in KINDS else {}
    is_unread = bool(request.GET.get("unread"))
    listed = queries.unread_of(request.user) if is_unread else queries.notifications_of(request.user)
    page = Paginator(listed.filter(**filters), _PAGE_SIZE).get_page(request.GET.get("page"))
    words = {
        "page": page,
        "unread": queries.unread_count(request.user),
        "kinds": KINDS.values(),
        "kind": filters.get("kind", ""),
        "is_unread": is_unread,
        "query": urlencode({**filters, **({"unread": "1"} if is_unread else {})}),
    }
    return render(request, "notifications/notification_list.html", words)


@require_POST
@login_required
def read(request: HttpRequest, notification_id: int) -> HttpResponse:
    """Mark one as read."""
    user = cast(User, request.user)
    notification = queries.notification_of(user, notification_id)
    if notification is None:
        raise Http404("You have no such notification.")
    actions.mark_read(notification, actor=user)
    return redirect("notifications:list")


@require_POST
@login_required
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark all as read."""
    user = cast(User, request.user)
    actions.mark_all_read(user, actor=user)
    return redirect("notifications:list")


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def preferences(request: HttpRequest) -> HttpResponse:
    """Let the visitor choose what they are told of, and how."""
    user = cast(User, request.user)
    form = PreferencesForm(request.POST or None, channels=queries.channels_of(user))
    if request.method == "POST" and form.is_valid():
        actions.choose_channels(user, form.chosen(), actor=user)
        messages.success(request, "Saved.")
        return redirect("notifications:preferences")
    status = 400 if form.errors else 200
    return render(request, "notifications/preferences.html", {"form": form}, status=status)


@csrf_exempt  # mail programs post here by themselves, without a cookie (RFC 8058); the token is the proof
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest) -> HttpResponse:
    """End mails of one kind by the link in one of them. Opening it only asks: programs open links too."""
    found = read_token(request.GET.get("token", ""))
    user = User.objects.filter(pk=found[0]).first() if found else None
    if found is None or user is None:
        audit.record("notifications.preference.updated", outcome="denied", changes={"reason": "no such link"})
        raise Http404("This link is not whole. Copy all of it from the mail.")
    mails = found[1]
    if request.method == "POST":
        # The link proves whose mailbox it was in: who holds it acts as that person, in this alone.
        actor = Actor(type="user", id=str(user.pk), label=user.get_username())
        with context.bind(actor_source=actor, reason="The link in a mail"):
            actions.stop_mails(user, mails, actor=user)
    words = {"mails_name": MAILS_NAMES[mails], "is_done": request.method == "POST"}
    response = render(request, "notifications/unsubscribe.html", words)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response
