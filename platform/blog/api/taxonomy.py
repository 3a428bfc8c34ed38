"""Categories and tags by the API: those of published posts."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from blog import queries
from blog.api.base import BlogView
from blog.models import Category, Tag
from blog.serializers import CategorySerializer, TagSerializer


class CategoryList(BlogView):
    queryset = Category.objects.none()
    serializer_class = CategorySerializer

    def order(self) -> tuple[str, ...]:
        return ("slug",)

    @extend_schema(tags=["blog"], responses=CategorySerializer(many=True))
    def get(self, request: Request) -> Response:
        """List the categories."""
        return self.page_of(queries.categories(), CategorySerializer)


class TagList(BlogView):
    queryset = Tag.objects.none()
    serializer_class = TagSerializer

    def order(self) -> tuple[str, ...]:
        return ("slug",)

    @extend_schema(tags=["blog"], responses=TagSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List the tags of published posts."""
        return self.page_of(queries.tags_in_use(), TagSerializer)
