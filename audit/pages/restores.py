"""`/audit/restore/<type>/<id>/?at=`: what restoring an object would do, and, with a reason, the doing."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from audit import recording
from audit.errors import RestoreError, RowChangedError
from audit.history import restoring, states
from audit.history.restoring import Plan
from audit.pages.base import for_readers
from audit.reading import diffs, filters, showing
from audit.reading.access import Access


@require_http_methods(["GET", "POST"])
@for_readers
def restore(request: HttpRequest, access: Access, object_type: str, object_id: str) -> HttpResponse:
    """The plan; a POST with a reason and the plan's fingerprint carries it out where the row is still the same."""
    if not (access.may_read(object_type) and states.is_known(object_type, object_id)):
        raise Http404("The ledger knows no such object, or you may not see it.")
    asked = request.POST if request.method == "POST" else request.GET
    try:
        at = filters.moment(asked.get("at", ""))
    except ValueError as error:
        raise Http404(str(error)) from error
    _refuse_without(restoring.missing(request.user), object_type, object_id)
    context = {"object_type": object_type, "object_id": object_id, "at": at, "reason": request.POST.get("reason", "")}
    try:
        if any(not access.may_read(one) for one in restoring.types_of(object_type)):
            raise PermissionDenied
        plan = restoring.plan(object_type, object_id, at)
        _refuse_without(restoring.missing(request.user, plan=plan), object_type, object_id)
        if request.method == "POST":
            return _apply(request, plan)
    except (RestoreError, RowChangedError) as error:
        problems = error.problems if isinstance(error, RestoreError) else {"row": [str(error)]}
        if "reason" not in problems or request.method == "GET":
            return render(request, "audit/restore.html", context | {"problems": problems}, status=400)
        plan = restoring.plan(object_type, object_id, at)
        context["problems"] = problems
    told = {"at": at.isoformat(), "plan": plan.action}
    recording.record("audit.ledger.read", target=(object_type, object_id), changes=told)
    context["plan"] = plan
    context["changes"] = [
        diffs.between(name, *(showing.shown(object_type, name, value, access) for value in pair))
        for name, pair in plan.changes.items()
    ]
    return render(request, "audit/restore.html", context, status=400 if "problems" in context else 200)


def _apply(request: HttpRequest, plan: Plan) -> HttpResponse:
    if plan.fingerprint != request.POST.get("expected"):
        raise RowChangedError
    restoring.apply(plan, request.POST.get("reason", ""))
    messages.success(request, "Restored. What was written is in the ledger, with your reason.")
    return redirect("audit:object", plan.object_type, plan.object_id)


def _refuse_without(missing: str, object_type: str, object_id: str) -> None:
    """Refuse where a permission is missing, and record that."""
    if missing:
        recording.record(
            "audit.ledger.restore_denied",
            target=(object_type, object_id),
            outcome="denied",
            changes={"missing": missing},
        )
        raise PermissionDenied(f"Restoring this needs the permission {missing}.")
