"""`/ops/maintenance/`: how it stands, and the switch. It answers while the platform is closed, too."""

import math
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

import audit
from accounts.models import User
from ops.durations import duration
from ops.maintenance import actions, history, queries
from ops.maintenance.errors import MaintenanceError
from ops.maintenance.passing import is_staff
from ops.maintenance.rules import can_see_maintenance, can_switch_maintenance
from ops.models import LONGEST_MESSAGE

_LONGEST_REASON = 500


def _line(**attributes: Any) -> forms.TextInput:
    return forms.TextInput(attrs={"autocomplete": "off", **attributes})


class SwitchOnForm(forms.Form):
    """What is said as it's switched on, or changed."""

    span = forms.CharField(
        label="For how long",
        required=False,
        max_length=20,
        initial="1h",
        widget=_line(autocapitalize="none", spellcheck="false"),
        help_text="30m, 2h or 1d, from now: it ends then by itself. Left empty, it's on until it's switched off.",
    )
    message = forms.CharField(
        label="Message",
        required=False,
        max_length=LONGEST_MESSAGE,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For whoever is turned away. Everybody reads it.",
    )
    reason = forms.CharField(
        max_length=_LONGEST_REASON, widget=_line(), help_text="Why. It goes into the ledger with your name."
    )

    def clean_span(self) -> timedelta | None:
        """Return the span; None where it has no end."""
        text = self.cleaned_data["span"].strip()
        try:
            return duration(text) if text else None
        except ArgumentTypeError as error:
            raise forms.ValidationError(str(error)) from error


class SwitchOffForm(forms.Form):
    """What is said as it's switched off."""

    reason = forms.CharField(label="Reason, if there's one", required=False, max_length=_LONGEST_REASON, widget=_line())


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def maintenance(request: HttpRequest) -> HttpResponse:
    """Show how it stands; a POST with `on` or `off` switches it."""
    if not can_see_maintenance(request.user):
        raise PermissionDenied("Whether it's maintenance is for staff and operators to see.")
    posted = request.POST if request.method == "POST" else None
    if posted is not None and not can_switch_maintenance(request.user):
        raise PermissionDenied("To switch maintenance takes the permission ops.change_maintenance.")
    window = queries.read()
    on = SwitchOnForm(
        posted if posted and "on" in posted else None,
        initial={"message": window.message, "span": _left(window)} if window else {},
    )
    off = SwitchOffForm(posted if posted and "off" in posted else None, prefix="off")
    if (on.is_bound and _switched_on(request, on)) or (off.is_bound and _switched_off(request, off)):
        return redirect("ops:maintenance")
    context = {
        "window": window,
        "on": on,
        "off": off,
        "can_switch": can_switch_maintenance(request.user),
        "is_staff": is_staff(request.user),
        "switches": history.last_switches(),
    }
    return render(request, "ops/maintenance.html", context, status=400 if posted is not None else 200)


def _left(window: queries.Window) -> str:
    """Return how long it will still be on, as the form has it: whoever changes the message alone keeps the end."""
    if window.ends_at is None:
        return ""
    return f"{max(1, math.ceil((window.ends_at - timezone.now()).total_seconds() / 60))}m"


def _switched_on(request: HttpRequest, form: SwitchOnForm) -> bool:
    if not form.is_valid():
        return False
    values = form.cleaned_data
    ends_at = timezone.now() + values["span"] if values["span"] else None
    try:
        with audit.reason(values["reason"]):
            actions.begin_maintenance(actor=cast(User, request.user), message=values["message"], ends_at=ends_at)
    except MaintenanceError as error:
        form.add_error(None, str(error))
        return False
    messages.success(request, "Maintenance mode is on. Staff alone can use the platform.")
    return True


def _switched_off(request: HttpRequest, form: SwitchOffForm) -> bool:
    if not form.is_valid():
        return False
    with audit.reason(form.cleaned_data["reason"]):
        was_on = actions.end_maintenance(actor=cast(User, request.user))
    said = "Maintenance mode is off. Everybody can use the platform again."
    messages.success(request, said if was_on else "Maintenance mode was off already.")
    return True
