"""What the views of the API of tasks share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import APIException, NotFound, PermissionDenied, ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import User
from audit.errors import SearchTooLongError
from tasks import filters
from tasks.api.serializers import ReasonInput
from tasks.errors import FilterError, NotAllowedError, NotPossibleError, ReasonMissingError
from tasks.filters import FILTERS, Narrowing
from tasks.models import State, TaskRun
from telemetry import context

FILTER_PARAMETERS = [
    OpenApiParameter(one.name, str, description=one.help, enum=State.values if one.name == "state" else None)
    for one in FILTERS
]


class Conflict(APIException):
    status_code = 409


class Unavailable(APIException):
    status_code = 503


@contextmanager
def told_to_client() -> Iterator[None]:
    """Turn what an action or a search says into an answer: 400 with the name of the field, 403, 404, 409 or 503."""
    try:
        yield
    except NotAllowedError as error:
        raise PermissionDenied(str(error)) from error
    except NotPossibleError as error:
        raise Conflict(str(error)) from error
    except ReasonMissingError as error:
        raise ValidationError({"reason": [str(error)]}) from error
    except FilterError as error:
        raise ValidationError(error.problems) from error
    except SearchTooLongError as error:
        raise Unavailable("This takes too long to find. Give `since`, or another filter.") from error
    except TaskRun.DoesNotExist as error:  # deleted while we were at it
        raise NotFound("There is no such task run, or it isn't yours to see.") from error


class NewestFirst(BaseFilterBackend):
    """Tells the pagination by cursor to go by time: Celery's own ids have no order."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        return queryset

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> tuple[str, ...]:
        return ("-enqueued_at", "-id")


def member(request: Request) -> User:
    """Return who asks; the permission classes saw to it that it's somebody."""
    return cast(User, request.user)


def narrowing_of(asked: Any) -> Narrowing:
    """Return what the filters mean; a 400 with the names of those that are wrong."""
    with told_to_client():
        return filters.parse(asked)


def reason_of(request: Request) -> str:
    """Return the body's `reason`, or that of the header `X-Audit-Reason`; the action refuses an empty one."""
    given = ReasonInput(data=request.data)
    given.is_valid(raise_exception=True)
    return given.validated_data.get("reason") or context.current().reason
