"""The request for which a page for everybody is made: anonymous, and with nothing of whoever asked."""

from typing import Any, NoReturn

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, QueryDict

from caching.errors import NotForAllError
from telemetry.context import current

# Stands in a kept page for the id of the request that it will answer. PostgreSQL's texts hold no NUL, so nobody's
# words look like it.
REQUEST_ID_MARK = "\0request-id\0"


class SharedRequest(HttpRequest):
    """A GET of a path and a query by nobody in particular, from no host in particular."""

    def __init__(self, path: str, query: str, match: Any = None) -> None:
        super().__init__()
        self.method = "GET"
        self.path = self.path_info = path
        self.GET = QueryDict(query)
        self.META = {"REQUEST_METHOD": "GET", "QUERY_STRING": query, "PATH_INFO": path}
        self.user = AnonymousUser()
        self.resolver_match = match

    def get_host(self) -> NoReturn:
        """Refuse: the page would be kept for readers of every host."""
        raise NotForAllError(
            f"The page {self.path} is kept for everybody, so it can't name the host that one visitor asked. "
            "Write addresses without a host, take the host from a setting, or leave @shared_page away."
        )

    @property
    def has_form(self) -> bool:
        """Whether the page asked for a CSRF token, which is one visitor's."""
        return "CSRF_COOKIE" in self.META


def request_id_for(request: HttpRequest) -> str:
    """Return the id that a page shows of its request: in a page that's kept, the place for it."""
    return REQUEST_ID_MARK if isinstance(request, SharedRequest) else current().request_id
