"""The short way: a page that this process keeps is answered before session, user and view are asked for."""

from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.http import HttpRequest, HttpResponseBase

from caching import pages


class SharedPageMiddleware:
    """Stands before the session's middleware.

    Who brings a session's cookie takes the whole way, and gets the same page there if nobody is logged in.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def is_open(self) -> bool:
        """Whether pages may be answered without asking whoever stands further in; a project may know better."""
        return True

    def __call__(self, request: HttpRequest) -> Any:
        if self._is_async:  # Redis may not be waited for here; the view, in its thread, may
            return self.get_response(request)
        if _is_without_session(request) and self.is_open() and (answer := pages.recall(request)) is not None:
            request.get_host()  # which Django's middleware, further in, would refuse if it isn't ours
            return answer
        response: HttpResponseBase = self.get_response(request)
        pages.complete(request, response)
        return response


def _is_without_session(request: HttpRequest) -> bool:
    if "HTTP_COOKIE" not in request.META:
        return True
    return settings.SESSION_COOKIE_NAME not in request.COOKIES and CookieStorage.cookie_name not in request.COOKIES
