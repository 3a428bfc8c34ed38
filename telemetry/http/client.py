"""Where calls out over HTTP are watched: `http.client`, which urllib, urllib3 and requests are made on, and httpx.

Each hop of a redirect is a call. Libraries that aren't installed, or that nobody imports, cost nothing.
"""

from contextvars import ContextVar
from functools import cache, wraps
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from wrapt import register_post_import_hook

from telemetry.faults import fails_open
from telemetry.http.calls import Call, begin

_CALL = "_telemetry_call"  # a connection's attribute: the call that waits for its answer

# Calls that `http.client` has begun within one of urllib3.
_begun: ContextVar[list[Call] | None] = ContextVar("telemetry_urllib3_calls", default=None)


@cache
def connect() -> None:
    """Watch every call from now on; a second call does nothing."""
    for name, make in (("putrequest", _beginning), ("endheaders", _sending), ("getresponse", _answering)):
        setattr(HTTPConnection, name, make(getattr(HTTPConnection, name)))
    register_post_import_hook(_watch_urllib3, "urllib3.connectionpool")
    register_post_import_hook(_watch_httpx, "httpx")


# --- http.client ---------------------------------------------------------------------------------------------------


def _beginning(putrequest: Any) -> Any:
    @wraps(putrequest)
    def watched(self: HTTPConnection, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        putrequest(self, method, url, *args, **kwargs)
        vars(self)[_CALL] = call = _begin_on(self, method, url)
        if call is not None and (begun := _begun.get()) is not None:
            begun.append(call)

    return watched


@fails_open("http_client")
def _begin_on(connection: HTTPConnection, method: str, url: str) -> Call | None:
    scheme = "https" if connection.default_port == 443 else "http"
    if tunnelled := getattr(connection, "_tunnel_host", None):  # the server behind a proxy
        return _begin_at(scheme, str(tunnelled), getattr(connection, "_tunnel_port", None), method, url)
    return _begin_at(scheme, connection.host, connection.port, method, url)


@fails_open("http_client")
def _begin_at(scheme: str, address: str, port: int | None, method: str, url: str) -> Call | None:
    """Begin a call of `url`: a path at the server, or, where the server is a proxy, a whole address."""
    if url.startswith(("http://", "https://")):
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return begin(method, parts.scheme, parts.hostname or "", parts.port, target)
    return begin(method, scheme, address, port, url)


def _sending(endheaders: Any) -> Any:
    """Connecting is a part of it, and what most often fails."""

    @wraps(endheaders)
    def watched(self: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
        call: Call | None = vars(self).get(_CALL)
        if call is None:
            return endheaders(self, *args, **kwargs)
        if (header := call.traceparent) and not _has_traceparent(self):
            self.putheader("traceparent", header)
        try:
            return endheaders(self, *args, **kwargs)
        except BaseException as error:
            vars(self)[_CALL] = None
            call.end(error=error)
            raise

    return watched


def _has_traceparent(connection: HTTPConnection) -> bool:
    lines = getattr(connection, "_buffer", ())
    return any(line[:12].lower() == b"traceparent:" for line in lines)


def _answering(getresponse: Any) -> Any:
    @wraps(getresponse)
    def watched(self: HTTPConnection, *args: Any, **kwargs: Any) -> Any:
        call: Call | None = vars(self).pop(_CALL, None)
        if call is None:
            return getresponse(self, *args, **kwargs)
        try:
            response = getresponse(self, *args, **kwargs)
        except BaseException as error:
            call.end(error=error)
            raise
        call.end(response.status)
        return response

    return watched


# --- urllib3 -------------------------------------------------------------------------------------------------------


@fails_open("http_client")  # a version that has none of this works on, unwatched
def _watch_urllib3(connectionpool: Any) -> None:
    """It opens TLS connections before it begins a request: one that is refused, `http.client` never hears of."""
    pool = connectionpool.HTTPConnectionPool
    urlopen = pool.urlopen

    @wraps(urlopen)
    def watched(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        outer = _begun.get()
        begun: list[Call] = []
        _begun.set(begun)
        call = _begin_at(self.scheme, self.host, self.port, method, url)
        try:
            return urlopen(self, method, url, *args, **kwargs)
        except BaseException as error:
            if not begun and call is not None:
                begun.append(call)
            for unanswered in begun:
                unanswered.end(error=error)
            raise
        finally:
            _begun.set(outer)
            if outer is not None:
                outer += begun

    pool.urlopen = watched


# --- httpx ---------------------------------------------------------------------------------------------------------


@fails_open("http_client")
def _watch_httpx(httpx: Any) -> None:
    handle, handle_async = httpx.HTTPTransport.handle_request, httpx.AsyncHTTPTransport.handle_async_request

    @wraps(handle)
    def watched(self: Any, request: Any) -> Any:
        call = _begin_httpx(request)
        if call is None:
            return handle(self, request)
        is_told = _tell(call, request)
        try:
            response = handle(self, request)
        except BaseException as error:
            call.end(error=error)
            raise
        finally:
            _untell(is_told, request)
        call.end(response.status_code)
        return response

    @wraps(handle_async)
    async def watched_async(self: Any, request: Any) -> Any:
        call = _begin_httpx(request)
        if call is None:
            return await handle_async(self, request)
        is_told = _tell(call, request)
        try:
            response = await handle_async(self, request)
        except BaseException as error:
            call.end(error=error)
            raise
        finally:
            _untell(is_told, request)
        call.end(response.status_code)
        return response

    httpx.HTTPTransport.handle_request = watched
    httpx.AsyncHTTPTransport.handle_async_request = watched_async


@fails_open("http_client")
def _begin_httpx(request: Any) -> Call | None:
    url = request.url
    return begin(request.method, url.scheme, url.host, url.port, url.raw_path.decode("ascii", "replace"))


def _tell(call: Call, request: Any) -> bool:
    header = call.traceparent
    if not header or "traceparent" in request.headers:
        return False
    request.headers["traceparent"] = header
    return True


def _untell(is_told: bool, request: Any) -> None:
    """A redirect takes over the request's headers, and may lead to a server that isn't to know."""
    if is_told:
        del request.headers["traceparent"]
