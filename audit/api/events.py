"""`/api/audit/events/`: the search, its facets, and one event with what is around it."""

from typing import Any

from django.db.models import Q
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from audit import conf, recording
from audit.api.base import LedgerView, access_for, link, parameters
from audit.errors import FilterError
from audit.models import Event
from audit.reading import filters, queries, showing
from audit.reading.access import Access
from audit.reading.cursors import Cursor

_USUAL_LIMIT = 50
_LARGEST_LIMIT = 500
_AROUND_LIMIT = 20

_ORDER = OpenApiParameter("order", str, enum=["newest", "oldest"], default="newest", description="By time recorded.")
_CURSOR = OpenApiParameter(
    "cursor",
    str,
    description=(
        "Where to go on, from `next` or `resume` of an earlier answer. All pages of a reading show what was committed"
        " when it began; `resume` then gives what came since, however late it was committed."
    ),
)
_LIMIT = OpenApiParameter("limit", int, description=f"1 to {_LARGEST_LIMIT}; {_USUAL_LIMIT} where not given.")
_BY = OpenApiParameter(
    "by", str, required=True, enum=list(queries.FACETS), examples=[OpenApiExample("day", value="day")]
)


class EventSerializer(serializers.Serializer[Any]):
    """An event, for the schema; `audit.reading.showing` makes it."""

    id = serializers.IntegerField()
    recorded_at = serializers.DateTimeField()
    transaction = serializers.IntegerField(
        help_text="The database's transaction; a restored ledger keeps the old ones."
    )
    action = serializers.CharField()
    outcome = serializers.ChoiceField(["success", "denied", "error"])
    object_type = serializers.CharField()
    object_id = serializers.CharField()
    changes = serializers.DictField(
        help_text="Each field as [before, after]; values as they were in the row, numbers with all their digits."
        ' A value that the reader may not see is {"hidden": "personal"} or {"hidden": "masked"}.',
    )
    actor_type = serializers.CharField()
    actor_id = serializers.CharField()
    actor_label = serializers.CharField()
    request_id = serializers.CharField()
    trace_id = serializers.CharField()
    span_id = serializers.CharField()
    task_id = serializers.CharField()
    origin = serializers.CharField()
    operation = serializers.CharField()
    context = serializers.DictField()  # type: ignore[assignment]
    schema_version = serializers.IntegerField(help_text="Of this form; it grows when a member changes its meaning.")


class PageSerializer(serializers.Serializer[Any]):
    """A page of the search, for the schema."""

    count = serializers.IntegerField(help_text="How many events match; exact up to 1,000.")
    count_is_exact = serializers.BooleanField(
        help_text="Whether `count` was counted; else it's the database's estimate."
    )
    next = serializers.URLField(allow_null=True, help_text="The next page; null where there's none.")
    resume = serializers.URLField(help_text="What is committed after this reading began, oldest first.")
    results = EventSerializer(many=True)


class AroundSerializer(serializers.Serializer[Any]):
    """Other events beside one, for the schema."""

    url = serializers.URLField(help_text="All of them.")
    has_more = serializers.BooleanField()
    events = EventSerializer(many=True)


class EventWithAroundSerializer(EventSerializer):
    """One event and what is around it, for the schema."""

    links = serializers.DictField(
        help_text="`request_page`, `object`: where more is; null where there's no such thing."
    )
    around = serializers.DictField(child=AroundSerializer(), help_text="By `transaction`, `request` and `task`.")


class FacetSerializer(serializers.Serializer[Any]):
    """The values of a facet, for the schema."""

    value = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    count = serializers.IntegerField()
    url = serializers.URLField(help_text="The search narrowed to this value.")


class EventList(LedgerView):
    """Search the ledger."""

    @extend_schema(
        operation_id="audit_events_list",
        tags=["audit"],
        parameters=parameters(_ORDER, _CURSOR, _LIMIT),
        responses=PageSerializer,
    )
    def get(self, request: Request) -> Response:
        """Events that match every filter; reading them is recorded."""
        search = self.search_of(request, beside=("order", "cursor", "limit"))
        limit = self.limit_of(request, usual=_USUAL_LIMIT, most=_LARGEST_LIMIT)
        page = queries.page(search, self.cursor_of(request), limit=limit)
        total = queries.total(search)
        recording.record("audit.ledger.read", changes={"filters": dict(search.given), "events": len(page.events)})
        access = access_for(request)
        return Response(
            {
                "count": total.count,
                "count_is_exact": total.is_exact,
                "next": self._at(request, page.next) if page.next else None,
                "resume": self._at(request, page.resume),
                "results": [showing.as_dict(event, access) for event in page.events],
            }
        )

    def _at(self, request: Request, cursor: Cursor) -> str:
        return link(request, request.path, {**request.query_params.dict(), "order": cursor.order, "cursor": cursor})


class EventFacets(LedgerView):
    """How a search's events spread."""

    @extend_schema(tags=["audit"], parameters=parameters(_BY), responses=FacetSerializer(many=True))
    def get(self, request: Request) -> Response:
        """How many events a search finds for each day, actor, action, object type or outcome.

        Of a search without `since`, the last 30 days are counted. Of actors, actions and object types, the 20 most
        frequent are given.
        """
        search = self.search_of(request, beside=("by",))
        by = request.query_params.get("by", "")
        if by not in queries.FACETS:
            raise FilterError({"by": [f"There are: {', '.join(queries.FACETS)}."]})
        found = queries.facet(search, by)
        recording.record("audit.ledger.read", changes={"filters": dict(search.given), "facet": by})
        events = reverse("audit-events")
        return Response(
            [
                {
                    "value": one.value,
                    "label": one.label,
                    "count": one.count,
                    "url": link(request, events, {**search.given, **queries.narrowed(by, one.value)}),
                }
                for one in found
            ]
        )


class EventDetail(LedgerView):
    """One event of the ledger, and what is around it."""

    @extend_schema(tags=["audit"], responses=EventWithAroundSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """One event, the other events of its transaction, request and task, and where more is."""
        access = access_for(request)
        found = queries.event(pk, filters.parse({}, access).conditions)
        recording.record("audit.ledger.read", target=("audit.event", str(pk)))
        if found is None:
            raise Http404
        around = {name: self._around(request, found, asked, access) for name, asked in queries.around(found).items()}
        return Response({**showing.as_dict(found, access), "links": links(request, found), "around": around})

    def _around(self, request: Request, event: Event, asked: dict[str, str], access: Access) -> dict[str, Any]:
        search = filters.parse(asked, access)
        others = queries.matching(search, ~Q(id=event.pk), limit=_AROUND_LIMIT + 1)
        return {
            "url": link(request, reverse("audit-events"), {**asked, "order": "oldest"}),
            "has_more": len(others) > _AROUND_LIMIT,
            "events": [showing.as_dict(one, access) for one in others[:_AROUND_LIMIT]],
        }


def links(request: Request, event: Event) -> dict[str, str | None]:
    """Return where more is told of an event's request and object."""
    page = conf.request_url().replace("{request_id}", event.request_id or "")
    has_address = event.object_type and event.object_id and "/" not in event.object_type
    found = reverse("audit-object", args=[event.object_type, event.object_id]) if has_address else ""
    return {
        "request_page": link(request, page) if page and event.request_id else None,
        "object": link(request, found) if found else None,
    }
