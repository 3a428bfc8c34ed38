"""What is decided before and after every view: bodies too large, a database that is away, security headers."""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import split_domain_port

from config.problems import answer_to_database, error_response
from images.limits import IMAGE_BYTES

# Files come in multipart bodies, which Django streams to disk: a picture of the largest size, and its form around it.
LARGEST_MULTIPART_BYTES = IMAGE_BYTES + 100_000

Handler = Callable[[HttpRequest], HttpResponseBase] | Callable[[HttpRequest], Awaitable[HttpResponseBase]]


class _Middleware:
    """Runs `before` and `after` around a handler, be it sync or async; neither may wait for anything."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response: Any = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self._is_async:
            return self._call_async(request)
        return self.after(request, self.before(request) or self.get_response(request))

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        return self.after(request, self.before(request) or await self.get_response(request))

    def before(self, request: HttpRequest) -> HttpResponse | None:
        """Return an answer to refuse the request, None to let it on."""
        return None

    def after(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return the response that goes out."""
        return response


class BadRequestMiddleware(_Middleware):
    """Refuses what would only break further in; answers 503 where PostgreSQL or the ledger can't do their part."""

    def before(self, request: HttpRequest) -> HttpResponse | None:
        meta = request.META
        # PostgreSQL's text holds no NUL, so nothing can be found by one.
        if "\0" in request.path or "%00" in meta.get("QUERY_STRING", ""):
            return error_response(request, 400, detail="The address holds a NUL character.")
        length = meta.get("CONTENT_LENGTH") or ""
        if not length:
            # Django reads no body that has no length over WSGI: it would be lost without a word.
            if isinstance(request, WSGIRequest) and meta.get("HTTP_TRANSFER_ENCODING"):
                return error_response(request, 411)
            return None
        if not length.isascii() or not length.isdigit():
            return error_response(request, 400, detail="Content-Length is no number.")
        is_multipart = request.content_type == "multipart/form-data"
        limit = LARGEST_MULTIPART_BYTES if is_multipart else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if limit is not None and int(length[:20]) > limit:
            return error_response(request, 413, detail=f"The body may have at most {limit:,} bytes.")
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer exceptions of views that aren't faults of the code."""
        if isinstance(exception, RequestDataTooBig):
            return error_response(request, 413)
        return answer_to_database(request, exception)


class ContentSecurityPolicyMiddleware(_Middleware):
    """Lets a page load from its own host alone: no inline script or style, and sockets on the page's host only.

    A response that brings its own policy, such as an uploaded file's, keeps it.
    """

    def after(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers.setdefault("Content-Security-Policy", policy_for(request))
        return response


def policy_for(request: HttpRequest) -> str:
    """Return the policy of a page, whose sockets may be on a port of their own."""
    try:
        host, port = split_domain_port(request.get_host())
    except DisallowedHost:
        return "default-src 'none'"
    socket_port = str(settings.BROWSER_SOCKET_PORT or port)
    socket_host = f"{host}:{socket_port}" if socket_port else host
    return (
        f"default-src 'self'; connect-src 'self' ws://{socket_host} wss://{socket_host}; "
        "img-src 'self' https: data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )
