"""What the API's lists share.

Django REST framework reads this module while it is being imported itself, so this imports none of its views.
"""

from typing import Any

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request


class Pagination(CursorPagination):
    """Pages by cursor: `{"next", "previous", "results"}`, as fast on the last page as on the first.

    Newest first; a view with another order subclasses it with `ordering`, whose last field must be unique.
    """

    page_size = 25
    max_page_size = 100
    page_size_query_param = "limit"
    ordering = "-pk"
    page_size_query_description = "How many to return, 1 to 100; 25 where not given."

    def get_page_size(self, request: Request) -> int:
        """Return how many rows a page has.

        Raises:
            ValidationError: `limit` is no whole number from 1 to 100.
        """
        given = request.query_params.get("limit")
        if given is None:
            return self.page_size
        is_number = given.isascii() and given.isdigit() and len(given) < 10
        if not is_number or not 1 <= int(given) <= self.max_page_size:
            raise ValidationError({"limit": [f"This has to be a number from 1 to {self.max_page_size}."]})
        return int(given)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """Return the page that the cursor asks for.

        Raises:
            NotFound: the cursor isn't one of ours.
        """
        try:
            return super().paginate_queryset(queryset, request, view=view)
        except (ValueError, TypeError, OverflowError) as error:  # a forged position that the column can't hold
            raise NotFound(self.invalid_cursor_message) from error
