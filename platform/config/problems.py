"""Errors as RFC 9457 problem details, for the API; as pages, for people. Always with the request id."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.utils.html import escape
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.fields import get_error_detail
from rest_framework.response import Response
from rest_framework.views import exception_handler

from audit import unavailable as ledger_unavailable
from telemetry.context import current
from telemetry.logs import get_logger

log = get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
INVALID = "urn:glasshouse:problem:invalid"
# What the database says when it can't be asked: it's down, restarting, out of connections, or took too long.
UNAVAILABLE = (OperationalError, InterfaceError)
RETRY_AFTER_SECONDS = 5
DETAILS = {
    400: "The request can't be understood.",
    403: "You may not do that.",
    404: "There is nothing at this address.",
    405: "This address doesn't take that method.",
    411: "A request with a body has to say how long it is: send Content-Length.",
    413: "The request's body is too large.",
    500: "Something went wrong here. It has been recorded under the request id.",
    503: "The service can't be reached at the moment. Please try again in a few seconds.",
}


def problem(
    status: int, *, instance: str, detail: str = "", errors: Mapping[str, list[str]] | None = None
) -> dict[str, Any]:
    """Return the members of a problem: type, title, status, detail, instance, request_id, and errors by field."""
    members: dict[str, Any] = {
        "type": INVALID if errors else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or DETAILS.get(status, ""),
        "instance": instance,
        "request_id": current().request_id,
    }
    if errors:
        members["errors"] = errors
    return members


def problem_details(exception: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an exception of an API view into problem details; DRF's `EXCEPTION_HANDLER`.

    Returns None for what isn't the client's fault: the error handlers of the site answer that.
    """
    if ledger_unavailable.is_ledger_failure(exception):
        return None  # whatever an action took it for
    if isinstance(exception, DjangoValidationError):
        exception = ValidationError(get_error_detail(exception))
    elif isinstance(exception, RequestDataTooBig):
        exception = _TooLarge()
    response = exception_handler(exception, context)
    if response is None:
        return None
    errors: dict[str, list[str]] = {}
    if isinstance(exception, ValidationError):
        _flatten(exception.detail, "", errors)
        detail = "Some of what was sent isn't valid; see errors."
    else:
        detail = str(response.data.get("detail", "")) if isinstance(response.data, Mapping) else ""
    members = problem(response.status_code, instance=context["request"].path, detail=detail, errors=errors or None)
    response.data = members
    response.content_type = CONTENT_TYPE
    return response


class _TooLarge(APIException):
    status_code = 413
    default_detail = DETAILS[413]


def _flatten(detail: Any, path: str, errors: dict[str, list[str]]) -> None:
    """Gather nested messages under dotted names; what concerns no field stands under `non_field_errors`."""
    if isinstance(detail, Mapping):
        for name, value in detail.items():
            is_general = name == "non_field_errors" and path
            _flatten(value, path if is_general else f"{path}.{name}".lstrip("."), errors)
    elif isinstance(detail, list | tuple) and any(isinstance(item, Mapping | list) for item in detail):
        for number, item in enumerate(detail):
            if item:
                _flatten(item, f"{path}.{number}".lstrip("."), errors)
    else:
        messages = detail if isinstance(detail, list | tuple) else [detail]
        errors.setdefault(path or "non_field_errors", []).extend(str(message) for message in messages)


def wants_json(request: HttpRequest) -> bool:
    """Whether the client is a program: it asks the API, or names JSON as what it accepts."""
    if request.path.startswith("/api/"):
        return True
    accepted = request.headers.get("Accept", "")
    return "text/html" not in accepted and ("application/json" in accepted or CONTENT_TYPE in accepted)


def error_response(
    request: HttpRequest, status: int, *, detail: str = "", headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return the answer to a request that failed outside an API view: problem details, or a page."""
    if wants_json(request):
        members = problem(status, instance=request.path, detail=detail)
        return HttpResponse(orjson.dumps(members), status=status, content_type=CONTENT_TYPE, headers=headers)
    return HttpResponse(_page(request, status, detail or DETAILS.get(status, "")), status=status, headers=headers)


def unavailable(request: HttpRequest, *, detail: str = "") -> HttpResponse:
    """Return 503, and when to come again."""
    return error_response(request, 503, detail=detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def answer_to_database(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """Return the 503 where `error` tells that the ledger can't be written or the database not be asked; else None."""
    if error is not None and ledger_unavailable.is_ledger_failure(error):
        ledger_unavailable.report(error)
        return unavailable(request, detail=ledger_unavailable.DETAIL)
    if isinstance(error, UNAVAILABLE):
        log.error("config.database_unavailable", error=str(error))  # often, so without its traceback
        return unavailable(request)
    return None


def _page(request: HttpRequest, status: int, detail: str) -> str:
    title = HTTPStatus(status).phrase
    members = {"status": status, "title": title, "detail": detail, "request_id": current().request_id}
    try:
        template = loader.select_template([f"{status}.html", "error.html"])
        # From 500 on nothing works for sure, and a page for the user's eyes would ask the database who that is.
        page: str = template.render(members, request if status < 500 else None)
        return page
    except Exception:  # an error page that fails must not be the end
        log.exception("config.error_page_failed", status=status)
        return (
            f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1><p>{escape(detail)}</p>'
            f"<p>Request id: <code>{escape(members['request_id'])}</code></p></html>"
        )
