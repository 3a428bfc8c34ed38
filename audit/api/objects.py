"""`/api/audit/objects/<type>/<id>/`: an object's history, what it was at a time, and its restoring."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.http import Http404
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit import recording
from audit.api.base import LedgerView, access_for, link
from audit.api.events import EventSerializer
from audit.errors import FilterError, RestoreError, RowChangedError
from audit.history import restoring, states
from audit.history.restoring import Plan
from audit.reading import filters, queries, showing
from audit.reading.access import Access

_USUAL_LIMIT = 50
_LARGEST_LIMIT = 500

_TYPE = OpenApiParameter(
    "object_type", str, OpenApiParameter.PATH, examples=[OpenApiExample("blog.post", value="blog.post")]
)
_ID = OpenApiParameter(
    "object_id",
    str,
    OpenApiParameter.PATH,
    description="The primary key as text, percent-encoded; a composite one as a JSON array.",
    examples=[OpenApiExample("42", value="42"), OpenApiExample("composite", value='[3,"a/b"]')],
)
_MOMENT = OpenApiExample("2026-03-01T14:30:00Z", value="2026-03-01T14:30:00Z")
_PARAMETERS = {
    "at": "What the object was at this time, ISO 8601; UTC where no offset is given.",
    "from": "With `to`: what differs between the two times.",
    "to": "See `from`.",
}
_PAGING = [
    OpenApiParameter("order", str, enum=["newest", "oldest"], default="newest", description="Of the versions."),
    OpenApiParameter("cursor", str, description="Where to go on, from `next`."),
    OpenApiParameter("limit", int, description=f"1 to {_LARGEST_LIMIT}; {_USUAL_LIMIT} where not given."),
]
_FIELDS = (
    "By field, as the ledger has them; many-to-many fields as lists of keys. A value that the reader may not see is"
    ' {"hidden": "personal"} or {"hidden": "masked"}.'
)


class VersionsSerializer(serializers.Serializer[Any]):
    """A page of an object's history, for the schema."""

    next = serializers.URLField(allow_null=True)
    results = EventSerializer(many=True)


class StateSerializer(serializers.Serializer[Any]):
    """An object at a time, for the schema."""

    object_type = serializers.CharField()
    object_id = serializers.CharField()
    at = serializers.DateTimeField()
    exists = serializers.BooleanField()
    state = serializers.DictField(help_text=_FIELDS)
    version = serializers.IntegerField(allow_null=True, help_text="The event that made it so, or ended it.")
    unknown = serializers.ListField(child=serializers.CharField(), help_text="The fields of which nobody knows.")


DifferenceSerializer: Any = type(
    "DifferenceSerializer",
    (serializers.Serializer,),
    {  # `from` is no name that a class may have
        "__doc__": "What differs between two times, for the schema.",
        "from": serializers.DateTimeField(),
        "to": serializers.DateTimeField(),
        "changes": serializers.DictField(help_text="Each field as [then, later]."),
    },
)


class RestoreRequestSerializer(serializers.Serializer[Any]):
    """What to restore, for the schema."""

    at = serializers.DateTimeField(help_text="The time whose state is to come back.")
    reason = serializers.CharField(required=False, help_text="Why; needed to apply.")
    apply = serializers.BooleanField(default=False, help_text="Do it; without, only the plan is given.")
    expected = serializers.CharField(required=False, help_text="The plan's `fingerprint`; needed to apply.")


class RestoreSerializer(serializers.Serializer[Any]):
    """What restoring would do or has done, for the schema."""

    object_type = serializers.CharField()
    object_id = serializers.CharField()
    at = serializers.DateTimeField()
    version = serializers.IntegerField(allow_null=True, help_text="The event that made it what it was.")
    action = serializers.ChoiceField(["create", "update", "nothing"])
    changes = serializers.DictField(help_text="Each field that is written as [now, then].")
    skipped = serializers.DictField(
        child=serializers.CharField(), help_text="Each field that can't be restored, and why."
    )
    fingerprint = serializers.CharField(help_text="Stands for the row as it is now.")
    applied = serializers.BooleanField()
    event = EventSerializer(allow_null=True, help_text="The event `<type>.restored`, where it was done.")


class ObjectDetail(LedgerView):
    """An object's history."""

    @extend_schema(
        operation_id="audit_object_history",
        tags=["audit"],
        parameters=[
            _TYPE,
            _ID,
            *(
                OpenApiParameter(name, OpenApiTypes.DATETIME, description=text, examples=[_MOMENT])
                for name, text in _PARAMETERS.items()
            ),
            *_PAGING,
        ],
        responses=PolymorphicProxySerializer(
            "AuditObject",
            [VersionsSerializer, StateSerializer, DifferenceSerializer],
            resource_type_field_name=None,
            many=False,
        ),
    )
    def get(self, request: Request, object_type: str, object_id: str) -> Response:
        """An object's versions; with `at`, what it was then; with `from` and `to`, what differs. Deleted ones too.

        Its reads of the ledger aren't among the versions. The times are those of recording, before each commit.
        """
        access = access_for(request)
        asked = _times(request)
        is_known = access.may_read(object_type) and states.is_known(object_type, object_id)
        if "\x00" not in object_type + object_id:
            told = {name: at.isoformat() for name, at in asked.items()}
            recording.record("audit.ledger.read", target=(object_type, object_id), changes=told or None)
        if not is_known:
            raise Http404
        if "at" in asked:
            return Response(_state(object_type, object_id, asked["at"], access))
        if asked:
            found = states.difference(object_type, object_id, asked["from"], asked["to"])
            return Response({**asked, "changes": _shown(found, [object_type], access)})
        page = states.versions(
            object_type,
            object_id,
            self.cursor_of(request),
            limit=self.limit_of(request, usual=_USUAL_LIMIT, most=_LARGEST_LIMIT),
        )
        behind = {**request.query_params.dict(), "cursor": page.next}
        here = reverse("audit-object", args=[object_type, object_id])
        return Response(
            {
                "next": link(request, here, behind) if page.next else None,
                "results": [showing.as_dict(event, access) for event in page.events],
            }
        )


class ObjectRestore(LedgerView):
    """The restoring of an object."""

    def handle_exception(self, exc: Exception) -> Any:
        match exc:
            case RowChangedError():
                exc = RowChanged(str(exc))
            case RestoreError():
                exc = exceptions.ValidationError(exc.problems)
        return super().handle_exception(exc)

    @extend_schema(exclude=True)
    def get(self, request: Request, object_type: str, object_id: str) -> Response:
        """The history of an object whose key happens to end like this address."""
        return ObjectDetail().get(request, object_type, f"{object_id}/restore")

    @extend_schema(
        operation_id="audit_object_restore",
        tags=["audit"],
        parameters=[_TYPE, _ID],
        request=RestoreRequestSerializer,
        responses={
            200: RestoreSerializer,
            409: OpenApiResponse(description="The row has changed since the plan was made."),
        },
        examples=[
            OpenApiExample("plan", value={"at": "2026-03-01T14:30:00Z"}, request_only=True),
            OpenApiExample(
                "apply",
                value={
                    "at": "2026-03-01T14:30:00Z",
                    "reason": "Defaced, see ticket 123.",
                    "apply": True,
                    "expected": "5f0c…",
                },
                request_only=True,
            ),
        ],
    )
    def post(self, request: Request, object_type: str, object_id: str) -> Response:
        """What would bring the object back to what it was; with `apply`, do it.

        It needs the permission audit.restore_object and that to change such objects, or to add them where it's deleted;
        a token needs the scope audit:restore as well. Nothing is written where the row isn't the one that was planned.
        """
        access, at, asked = access_for(request), *_restore_asked(request)
        if not (access.may_read(object_type) and states.is_known(object_type, object_id)):
            recording.record("audit.ledger.read", changes={"object_type": object_type, "object_id": object_id})
            raise Http404
        target, scopes = (object_type, object_id), getattr(request.auth, "scopes", None)
        _refuse_without(restoring.missing(request.user, scopes), target)
        for one in restoring.types_of(object_type):
            _refuse_without("" if access.may_read(one) else f"audit.view_event of {one}", target)
        plan = restoring.plan(object_type, object_id, at)
        _refuse_without(restoring.missing(request.user, scopes, plan), target)
        if not asked.get("apply"):
            recording.record("audit.ledger.read", target=target, changes={"at": at.isoformat(), "plan": plan.action})
            return Response(_planned(plan, None, access))
        if plan.fingerprint != asked["expected"]:
            raise RowChangedError
        return Response(_planned(plan, restoring.apply(plan, asked["reason"]), access, is_applied=True))


class RowChanged(exceptions.APIException):
    """409: what was planned isn't what is there."""

    status_code = 409


def _times(request: Request) -> dict[str, datetime]:
    """Return the times that the query asks about: none, `at`, or `from` and `to`.

    Raises:
        FilterError: a parameter is unknown, malformed, given twice, or doesn't go with the others.
    """
    asked = request.query_params
    known = [*_PARAMETERS, *(one.name for one in _PAGING)]
    problems: dict[str, list[str]] = {
        name: [f"No such parameter. There are: {', '.join(known)}."] for name in asked if name not in known
    }
    problems |= {name: ["This was given more than once."] for name in asked if len(asked.getlist(name)) > 1}
    given = [name for name in known if name in asked]
    times: dict[str, datetime] = {}
    for name in (one for one in given if one in _PARAMETERS and one not in problems):
        try:
            times[name] = filters.moment(asked[name])
        except ValueError as error:
            problems[name] = [str(error)]
    if "at" in given or "from" in given or "to" in given:
        wanted = {"at"} if "at" in given else {"from", "to"}
        problems |= {name: [f"This doesn't go with {' and '.join(sorted(wanted))}."] for name in {*given} - wanted}
        problems |= {name: ["Give this as well."] for name in wanted - {*given}}
    if not problems and "from" in times and times["from"] > times["to"]:
        problems["to"] = ["`to` has to be no earlier than `from`."]
    if problems:
        raise FilterError(problems)
    return times


def _restore_asked(request: Request) -> tuple[datetime, dict[str, Any]]:
    """Return the time that the body asks for, and the rest of it.

    Raises:
        RestoreError: something is unknown, missing or malformed.
    """
    asked = request.data
    if not isinstance(asked, dict):
        raise RestoreError({"non_field_errors": ["Send a JSON object."]})
    kinds = {"at": str, "reason": str, "apply": bool, "expected": str}
    problems: dict[str, list[str]] = {
        name: [f"No such member. There are: {', '.join(kinds)}."] for name in asked if name not in kinds
    }
    for name, kind in kinds.items():
        if name in asked and not isinstance(asked[name], kind):
            problems[name] = ["This has to be true or false." if kind is bool else "This has to be text."]
    if "at" not in asked:
        problems["at"] = ["Say which time is to come back."]
    if asked.get("apply") is True:
        if not asked.get("expected"):
            problems.setdefault("expected", ["Give the plan's fingerprint, so that nobody's change is undone unseen."])
        if "reason" not in problems:
            try:
                restoring.checked_reason(asked.get("reason", ""))
            except RestoreError as error:
                problems |= error.problems
    at: datetime | None = None
    if "at" not in problems:
        try:
            at = filters.moment(asked["at"])
        except ValueError as error:
            problems["at"] = [str(error)]
    if problems or at is None:
        raise RestoreError(problems)
    return at, asked


def _refuse_without(missing: str, target: tuple[str, str]) -> None:
    if missing:
        recording.record("audit.ledger.restore_denied", target=target, outcome="denied", changes={"missing": missing})
        raise exceptions.PermissionDenied(f"Restoring this needs {missing}.")


def _state(object_type: str, object_id: str, at: datetime, access: Access) -> dict[str, Any]:
    found = states.state_at(object_type, object_id, at)
    return {
        "object_type": object_type,
        "object_id": object_id,
        "at": at,
        "exists": found.exists,
        "state": {name: showing.shown(object_type, name, value, access) for name, value in found.fields.items()},
        "version": found.version,
        "unknown": found.unknown,
    }


def _planned(plan: Plan, event_id: int | None, access: Access, *, is_applied: bool = False) -> dict[str, Any]:
    event = queries.event(event_id, filters.EVERYTHING.conditions) if event_id else None
    return {
        "object_type": plan.object_type,
        "object_id": plan.object_id,
        "at": plan.at,
        "version": plan.version,
        "action": plan.action,
        "changes": _shown(plan.changes, restoring.types_of(plan.object_type), access),
        "skipped": plan.skipped,
        "fingerprint": plan.fingerprint,
        "applied": is_applied,
        "event": showing.as_dict(event, access) if event else None,
    }


def _shown(changes: dict[str, list[Any]], types: Iterable[str], access: Access) -> dict[str, list[Any]]:
    """Return the changes without what is hidden in any of the types whose rows they are of."""
    shown = {name: list(pair) for name, pair in changes.items()}
    for one in types:
        shown = {name: [showing.shown(one, name, value, access) for value in pair] for name, pair in shown.items()}
    return shown
