"""The site's error handlers: what Django calls when nobody else answered."""

import sys
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect

from audit import refusals
from blog.queries import address_now
from config.problems import answer_to_database, error_response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400, or 413 where Django itself found the body too large."""
    return error_response(request, 413 if isinstance(exception, RequestDataTooBig) else 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403, with the reason that the view gave."""
    return error_response(request, 403, detail=_text_of(exception))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404, with the reason that the view gave; the resolver's own isn't for strangers.

    What was once a post's address leads to where it is now.
    """
    if request.method in ("GET", "HEAD") and (now := address_now(request.path)):
        query = f"?{request.META['QUERY_STRING']}" if request.META.get("QUERY_STRING") else ""
        return HttpResponsePermanentRedirect(now + query)
    return error_response(request, 404, detail=_text_of(exception))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500, or 503 where a middleware failed for the database's or the ledger's sake; never a word about it."""
    return answer_to_database(request, sys.exc_info()[1]) or error_response(request, 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form without its token; Django's `CSRF_FAILURE_VIEW`."""
    refusals.explain(request, "csrf")
    return error_response(
        request, 403, detail="This form has no valid security token. Reload the page and send it again."
    )


def _text_of(exception: Any) -> str:
    text = exception.args[0] if exception.args else ""
    return text if isinstance(text, str) else ""
