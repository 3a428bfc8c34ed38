"""The API of operations: maintenance mode."""

from typing import Any, cast

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.scopes import ScopePermission
from ops.maintenance import actions, queries
from ops.maintenance.errors import MaintenanceError
from ops.maintenance.rules import can_see_maintenance, can_switch_maintenance
from ops.models import LONGEST_MESSAGE


class MaintenanceState(serializers.Serializer[Any]):
    is_on = serializers.BooleanField()
    message = serializers.CharField(allow_blank=True)
    begun_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)


class MaintenanceInput(serializers.Serializer[Any]):
    message = serializers.CharField(
        max_length=LONGEST_MESSAGE, allow_blank=True, default="", help_text="For whoever is turned away."
    )
    ends_at = serializers.DateTimeField(
        allow_null=True, default=None, help_text="It ends then by itself; null: by DELETE alone."
    )


class MayMaintain(BasePermission):
    """Staff sees it; to switch it takes the permission `ops.change_maintenance`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        is_reading = request.method in ("GET", "HEAD", "OPTIONS")
        return can_see_maintenance(request.user) if is_reading else can_switch_maintenance(request.user)


@extend_schema(tags=["ops"], responses=MaintenanceState)
class Maintenance(APIView):
    """Maintenance mode. Why it's switched may be said in the header `X-Audit-Reason`."""

    permission_classes = [IsAuthenticated, ScopePermission, MayMaintain]

    def get(self, request: Request) -> Response:
        """Tell whether it's on."""
        return Response(queries.as_dict(queries.read()))

    @extend_schema(request=MaintenanceInput)
    def post(self, request: Request) -> Response:
        """Switch it on, or change its message and end."""
        asked = MaintenanceInput(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            window = actions.begin_maintenance(actor=cast(User, request.user), **asked.validated_data)
        except MaintenanceError as error:
            raise ValidationError(str(error)) from error
        return Response(queries.as_dict(window))

    @extend_schema(request=None)
    def delete(self, request: Request) -> Response:
        """Switch it off."""
        actions.end_maintenance(actor=cast(User, request.user))
        return Response(queries.as_dict(None))


api_urlpatterns = [path("maintenance/", Maintenance.as_view(), name="ops-maintenance")]
