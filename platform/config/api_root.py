"""The API's front page, and its documentation."""

from typing import ClassVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

import accounts.openapi  # noqa: F401  registers itself with the schema's generator

COLLECTIONS = {
    "posts": "/api/blog/posts/",
    "rooms": "/api/chat/rooms/",
    "task_runs": "/api/tasks/runs/",
    "task_queues": "/api/tasks/queues/",
    "pictures": "/api/images/",
    "notifications": "/api/notifications/",
    "audit_events": "/api/audit/events/",
    "schema": "/api/schema/",
    "docs": "/api/docs/",
}


class ApiRoot(APIView):
    """Lists what the API has; for everyone."""

    permission_classes = [AllowAny]
    required_scopes: ClassVar[dict[str, str | None]] = {"read": None}

    @extend_schema(
        operation_id="index",
        tags=["index"],
        responses={200: {"type": "object", "additionalProperties": {"type": "string", "format": "uri"}}},
    )
    def get(self, request: Request) -> Response:
        """Return the address of each collection by its name."""
        return Response({name: request.build_absolute_uri(path) for name, path in COLLECTIONS.items()})


def docs(request: HttpRequest) -> HttpResponse:
    """Show the API's schema as a page to read and try; it loads nothing from elsewhere."""
    return render(request, "config/api_docs.html")
