"""`/audit/objects/<type>/<id>/`: an object's versions, and what it was at each of them."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from audit import recording
from audit.errors import CursorError
from audit.history import states
from audit.models import Event
from audit.pages.base import for_readers
from audit.reading import diffs, filters, showing
from audit.reading.access import RESTORE, Access
from audit.reading.cursors import Cursor, parse

_VERSIONS = 200


@for_readers
def timeline(request: HttpRequest, access: Access, object_type: str, object_id: str) -> HttpResponse:
    """An object's latest versions with a slider in time; `?version=` or `?at=` says which is shown.

    `?part=state` gives the state alone, for the slider.
    """
    is_known = access.may_read(object_type) and states.is_known(object_type, object_id)
    recording.record("audit.ledger.read", target=(object_type, object_id))
    if not is_known:
        raise Http404("The ledger knows no such object, or you may not see it.")
    try:
        cursor = parse(request.GET["cursor"]) if request.GET.get("cursor") else Cursor()
        page = states.versions(object_type, object_id, cursor, limit=_VERSIONS)
        selected, at = _selected(request, object_type, object_id, page.events, access)
    except (CursorError, ValueError) as error:
        raise Http404(str(error)) from error
    state = states.state_at(object_type, object_id, at)
    changed = set(selected.changes or {}) if selected and not selected.is_whole_row else set()
    context = {
        "access": access,
        "object_type": object_type,
        "object_id": object_id,
        "selected": selected,
        "at": at,
        "state": state,
        "may_restore": request.user.has_perm(RESTORE),
        "fields": [
            {
                "diff": diffs.between(name, None, showing.shown(object_type, name, value, access)),
                "is_new": name in changed,
            }
            for name, value in state.fields.items()
        ],
    }
    if request.GET.get("part") == "state":
        return render(request, "audit/state.html", context)
    versions = page.events[::-1]
    context |= {
        "versions": page.events,
        "place": versions.index(selected) if selected in versions else len(versions) - 1,
        "slides": [
            {"id": one.pk, "time": f"{one.recorded_at:%Y-%m-%d %H:%M:%S} UTC", "action": one.action} for one in versions
        ],
        "older": str(page.next) if page.next else "",
    }
    return render(request, "audit/object.html", context)


def _selected(
    request: HttpRequest, object_type: str, object_id: str, versions: list[Event], access: Access
) -> tuple[Event | None, Any]:
    """The version to show and its time: the one asked for, the last by the time asked for, or the latest."""
    if at := request.GET.get("at"):
        moment = filters.moment(at)
        return next((one for one in versions if one.recorded_at <= moment), None), moment
    asked = request.GET.get("version", "")
    if not asked:
        return (versions[0], versions[0].recorded_at) if versions else (None, timezone.now())
    if not (asked.isascii() and asked.isdigit() and len(asked) < 19):
        raise ValueError("A version is the number of an event.")
    found = (
        next((one for one in versions if one.pk == int(asked)), None)
        or Event.objects.filter(
            filters.parse({}, access).conditions, id=int(asked), object_type=object_type, object_id=object_id
        ).first()
    )
    if found is None:
        raise ValueError("This object has no such version.")
    return found, found.recorded_at
