"""Posts by their words, the best first, by the API: what the page of the search finds."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from blog.api.base import BlogView
from blog.caching.counts import comment_counts
from blog.search.queries import search
from blog.serializers import FoundSerializer


class Search(BlogView):
    serializer_class = FoundSerializer

    @extend_schema(
        tags=["blog"],
        parameters=[
            OpenApiParameter(
                "q", required=True, description='All of these words, `"in quotes"` together, `or`, `-without`.'
            ),
            OpenApiParameter("page", int, description="1 where not given; past the last one, the last."),
        ],
        responses=FoundSerializer,
    )
    def get(self, request: Request) -> Response:
        """Find published posts by their words, the best first, with what of them fits."""
        words, number = request.query_params.get("q", ""), request.query_params.get("page", "1")
        if not words.strip():
            raise ValidationError({"q": ["Give the words to look for."]})
        if not (number.isascii() and number.isdigit() and len(number) < 7 and int(number)):
            raise ValidationError({"page": ["This has to be a number from 1 on."]})
        found = search(words, number=int(number))
        counts = comment_counts([hit.post.pk for hit in found.hits])
        for hit in found.hits:
            hit.post.comment_count = counts[hit.post.pk]  # type: ignore[attr-defined]
        here = request.build_absolute_uri()
        pages = {"next": found.number + 1 if found.number < found.pages else 0, "previous": found.number - 1}
        links = {name: replace_query_param(here, "page", page) if page else None for name, page in pages.items()}
        return Response({**FoundSerializer(found).data, **links})
