"""The ledger over REST: read-only, for whoever may view events; a token needs the scope `audit:read`."""

from typing import Any

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, pagination, permissions, renderers, serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from audit import queries, recording, values
from audit.models import Event

SCOPE = "audit:read"


class MayReadLedger(permissions.BasePermission):
    """The permission `audit.view_event`, and, for a token, the scope `audit:read`."""

    message = "Reading the ledger needs the permission audit.view_event; a token needs the scope audit:read as well."

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        scopes = getattr(request.auth, "scopes", None)
        is_granted = user.has_perm("audit.view_event") and (scopes is None or SCOPE in scopes)
        if user.is_authenticated and not is_granted:
            recording.record("audit.ledger.read_denied", outcome="denied")
        return bool(is_granted)


class ExactJSONRenderer(renderers.JSONRenderer):
    """JSON in which a number has all its digits: Django REST framework's own makes strings of decimals."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else values.dumps(data)


class EventSerializer(serializers.ModelSerializer[Event]):
    changes = serializers.DictField(
        source="differences",
        help_text="Each field as [before, after]; values as they were in the row, numbers with all their digits.",
    )

    class Meta:
        model = Event
        fields = [
            "id", "recorded_at", "action", "outcome", "object_type", "object_id", "changes",
            "actor_type", "actor_id", "actor_label", "request_id", "trace_id", "span_id", "task_id",
            "origin", "operation", "context",
        ]  # fmt: skip


class EventFilters(serializers.Serializer[Any]):
    """The filters of the list; an unknown or malformed one is refused by name."""

    object_type = serializers.CharField(required=False, max_length=200, help_text="Such as `blog.post`.")
    object_id = serializers.CharField(required=False, max_length=2_000, help_text="Such as `42`.")
    actor = serializers.CharField(required=False, max_length=200, help_text="The actor's id, such as a user's.")
    action = serializers.CharField(required=False, max_length=200, help_text="Such as `blog.post.updated`.")
    outcome = serializers.ChoiceField(required=False, choices=["success", "denied", "error"])
    request = serializers.CharField(required=False, max_length=64, help_text="A request id.")
    since = serializers.DateTimeField(required=False, help_text="Recorded at or after, ISO 8601.")
    until = serializers.DateTimeField(required=False, help_text="Recorded before, ISO 8601.")
    cursor = serializers.CharField(required=False)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=500)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(self.initial_data) - set(self.fields))
        if unknown:
            known = ", ".join(sorted(self.fields))
            raise serializers.ValidationError({name: [f"No such filter. There are: {known}."] for name in unknown})
        return attrs


class EventPagination(pagination.CursorPagination):
    """By key, so that a page deep down costs what the first does."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 500


@extend_schema(
    parameters=[
        OpenApiParameter(name, str, description=field.help_text or "")
        for name, field in EventFilters().get_fields().items()
        if name not in {"cursor", "limit"}
    ],
    tags=["audit"],
)
class EventList(generics.ListAPIView[Event]):
    """Events of the ledger, newest first."""

    serializer_class = EventSerializer
    renderer_classes = [ExactJSONRenderer]
    permission_classes = [MayReadLedger]
    pagination_class = EventPagination
    queryset = Event.objects.none()

    def get_queryset(self) -> QuerySet[Event]:
        filters = EventFilters(data=self.request.query_params.dict())
        filters.is_valid(raise_exception=True)
        return queries.events(**{key: value for key, value in filters.validated_data.items() if key not in PAGING})

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        response = super().list(request, *args, **kwargs)
        recording.record(
            "audit.ledger.read",
            changes={"filters": request.query_params.dict(), "events": len(response.data["results"])},
        )
        return response


@extend_schema(tags=["audit"])
class EventDetail(generics.RetrieveAPIView[Event]):
    """One event of the ledger."""

    serializer_class = EventSerializer
    renderer_classes = [ExactJSONRenderer]
    permission_classes = [MayReadLedger]
    queryset = Event.objects.all()

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        response = super().retrieve(request, *args, **kwargs)
        recording.record("audit.ledger.read", target=("audit.event", str(kwargs["pk"])))
        return response


PAGING = {"cursor", "limit"}
api_urlpatterns = [
    path("events/", EventList.as_view(), name="audit-events"),
    path("events/<int:pk>/", EventDetail.as_view(), name="audit-event"),
]
