"""Whole pages, kept for visitors who aren't logged in.

Each is made for a request of nobody's (`SharedRequest`), so nothing of a visitor can get into it: no cookie, no token,
no message. The id of the request that it answers is filled in on the way out.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial, wraps
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from django.contrib.messages import get_messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import resolve
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import http_date

from caching import generations
from caching.dependencies import leave_unstored
from caching.errors import NotForAllError
from caching.levels import PAGES
from caching.metrics import UNSTORED
from caching.requests import REQUEST_ID_MARK, SharedRequest
from telemetry.context import current
from telemetry.logs import get_logger

log = get_logger(__name__)
View = Callable[..., HttpResponse]

_SAFE_METHODS = frozenset({"GET", "HEAD"})
_LONGEST_QUERY = 100
_quoted = lru_cache(maxsize=1_024)(quote)
_OF_ONE_ANSWER = frozenset({"Content-Length", "ETag", "Last-Modified"})


@dataclass(slots=True)
class Page:
    """What a view answered, in pieces between which the request's id stands.

    `complete` are the headers that one answer had once it was through the middleware, and `match` is its route; the
    next answer goes a shorter way.
    """

    status: int
    pieces: tuple[bytes, ...]
    headers: dict[str, str]
    etag: str
    made_at: int
    complete: dict[str, str] | None = field(default=None, compare=False)
    match: Any = field(default=None, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return Page, (self.status, self.pieces, self.headers, self.etag, self.made_at)

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def answer(self, request: HttpRequest, headers: dict[str, str]) -> HttpResponse:
        """Return the page as the answer to one request; 304 to whoever has it already."""
        content = current().request_id.encode().join(self.pieces)
        response = HttpResponse(content, status=self.status, headers=headers)
        response.headers["Content-Length"] = str(len(content))
        if self.status != 200:
            return response
        response.headers["ETag"] = self.etag
        # Within its second another version may follow, and the two had the same date.
        last_modified = self.made_at if time.time() >= self.made_at + 1 else None
        if last_modified is not None:
            response.headers["Last-Modified"] = http_date(last_modified)
        if "HTTP_IF_NONE_MATCH" in request.META or "HTTP_IF_MODIFIED_SINCE" in request.META:
            answered = get_conditional_response(request, etag=self.etag, last_modified=last_modified, response=response)
            return cast(HttpResponse, answered)
        return response


@dataclass(frozen=True, slots=True)
class SharedPage:
    """A view whose answer to visitors who aren't logged in is kept; of the query only `parameters` count."""

    view: View
    parameters: tuple[str, ...]

    def name_of(self, path: str, query: QueryDict) -> tuple[str, str]:
        """Return the page's name in the cache, and the part of the query that it hangs on."""
        told = urlencode([(one, query[one]) for one in self.parameters if one in query])
        return f"{_quoted(path)}?{told}" if told else _quoted(path), told

    def make(self, path: str, query: str, match: Any) -> Page:
        """Ask the view, as nobody in particular.

        Raises:
            NotForAllError: what it answered is for one visitor.
        """
        request = SharedRequest(path, query, match)
        response: Any = self.view(request, *match.args, **match.kwargs)
        if hasattr(response, "render") and not response.is_rendered:
            response.render()
        if request.has_form or response.cookies or response.streaming:
            raise NotForAllError(f"The page {path} has a CSRF token, sets a cookie or is a stream: it isn't for all.")
        if response.status_code != 200:
            leave_unstored("status")
        patch_vary_headers(response, ["Cookie"])
        # Browsers ask each time, and are told at once that nothing changed.
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return Page(
            status=response.status_code,
            pieces=tuple(response.content.split(REQUEST_ID_MARK.encode())),
            headers=dict(response.headers.items()),
            # Weak: two answers differ in the request's id.
            etag=f'W/"{hashlib.blake2b(response.content, digest_size=16).hexdigest()}"',
            made_at=int(time.time()),
        )


def shared_page(*, parameters: Sequence[str] = ()) -> Callable[[View], View]:
    """Keep what a view answers to GET and HEAD of visitors who aren't logged in.

    The view says by `depends_on` what it shows, and by `leave_unstored` that a query is none of those worth keeping.
    Of the query it sees the `parameters` alone.
    """

    def decorate(view: View) -> View:
        page = SharedPage(view, tuple(parameters))

        @wraps(view)
        def shared(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            name, query = page.name_of(request.path, request.GET)
            if len(query) > _LONGEST_QUERY or not _is_for_nobody(request):
                with generations.reading():
                    return view(request, *args, **kwargs)
            try:
                found = PAGES.fetch(name, partial(page.make, request.path, query, request.resolver_match))
            except NotForAllError as error:
                UNSTORED.labels(PAGES.name, "not_for_all").inc()
                log.warning("caching.page_not_for_all", path=request.path, error=str(error))
                return view(request, *args, **kwargs)
            response: HttpResponse = found.answer(request, found.headers)
            response.shared_page = found  # type: ignore[attr-defined]
            return response

        shared.shared_page = page  # type: ignore[attr-defined]
        return shared

    return decorate


def warm(address: str, *, older_than_seconds: float) -> bool:
    """Make the page at an address of ours, unless a younger one is there; return whether it was made.

    Raises:
        AwayError: Redis can't be asked.
        NotForAllError: the page isn't one that is kept.
        Http404: there's no such page.
    """
    parts = urlsplit(address)
    match = resolve(parts.path)
    page: SharedPage | None = getattr(match.func, "shared_page", None)
    if page is None:
        raise NotForAllError(f"The page {parts.path} isn't kept: its view has no @shared_page.")
    name, query = page.name_of(parts.path, QueryDict(parts.query))
    return PAGES.renew(name, partial(page.make, parts.path, query, match), older_than_seconds=older_than_seconds)


def recall(request: HttpRequest) -> HttpResponse | None:
    """Return the answer to a visitor without a session, where this process has the page, by the shortest way."""
    if request.method not in _SAFE_METHODS or request.META.get("QUERY_STRING"):
        return None
    page: Page | None = PAGES.recall(_quoted(request.path))
    if page is None or page.complete is None:
        return None
    request.resolver_match = page.match  # by which telemetry names the request
    return page.answer(request, page.complete)


def complete(request: HttpRequest, response: Any) -> None:
    """Remember which headers a kept page has when it's through the middleware."""
    page: Page | None = getattr(response, "shared_page", None)
    if page is not None and page.complete is None and response.status_code == 200:
        page.match = request.resolver_match
        page.complete = {name: value for name, value in response.headers.items() if name not in _OF_ONE_ANSWER}


def _is_for_nobody(request: HttpRequest) -> bool:
    return (
        request.method in _SAFE_METHODS
        and not request.user.is_authenticated
        and not len(get_messages(request))  # a message is shown once, to one visitor
    )
