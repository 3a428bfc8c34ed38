"""The page of notifications; it works without scripts too."""

from typing import cast

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from notifications import actions, queries

_PAGE_SIZE = 30


@require_safe
@login_required
def notification_list(request: HttpRequest) -> HttpResponse:
    """Show what the visitor was told, newest first."""
    page = Paginator(queries.notifications_of(request.user), _PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "unread": queries.unread_count(request.user)}
    return render(request, "notifications/notification_list.html", context)


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
