"""Categories and tags by the API. A tag is there as long as posts have it; a category is put up by somebody."""

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from blog import actions, queries
from blog.api.base import BlogView, told_to_client
from blog.api.conditions import CHANGED, IF_MATCH, IF_NONE_MATCH, NOT_MODIFIED, etag_of, still
from blog.models import Category, Tag
from blog.serializers import CategoryChange, CategoryInput, CategorySerializer, TagSerializer

_DESIGN = OpenApiExample(
    "Design",
    value={"name": "Design", "slug": "design", "description": "How things look and why."},
    request_only=True,
)


class CategoryList(BlogView):
    queryset = Category.objects.none()
    serializer_class = CategorySerializer

    def order(self) -> tuple[str, ...]:
        return ("slug",)

    @extend_schema(tags=["blog"], responses=CategorySerializer(many=True))
    def get(self, request: Request) -> Response:
        """List the categories."""
        return self.page_of(queries.categories(), CategorySerializer)

    @extend_schema(tags=["blog"], request=CategoryInput, responses={201: CategorySerializer}, examples=[_DESIGN])
    def post(self, request: Request) -> Response:
        """Make a category."""
        values = self.valid(CategoryInput(data=request.data))
        with told_to_client():
            category = actions.create_category(actor=self.member, **values)
        headers = {"Location": request.build_absolute_uri(f"{category.slug}/")}
        return Response(_told(category.slug), status=status.HTTP_201_CREATED, headers=headers)


class CategoryDetail(BlogView):
    serializer_class = CategorySerializer

    @extend_schema(tags=["blog"], parameters=[IF_NONE_MATCH], responses={200: CategorySerializer, 304: NOT_MODIFIED})
    def get(self, request: Request, slug: str) -> Response:
        """Return a category; its posts are those of `/api/blog/posts/?category=`."""
        return Response(_told(slug))

    @extend_schema(
        tags=["blog"],
        parameters=[IF_MATCH],
        request=CategoryChange,
        responses={200: CategorySerializer, 412: CHANGED},
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change what is given of a category."""
        category = get_object_or_404(queries.categories(), slug=slug)
        values = self.valid(CategoryChange(data=request.data))
        with told_to_client(), still(request, lambda: CategorySerializer(category).data) as is_named:
            category = actions.update_category(category, actor=self.member, is_as_read=is_named, **values)
        told = _told(category.slug)
        return Response(told, headers={"ETag": etag_of(told)})

    @extend_schema(tags=["blog"], parameters=[IF_MATCH], responses={204: None, 412: CHANGED})
    def delete(self, request: Request, slug: str) -> Response:
        """Delete a category; its posts stay, without one."""
        category = get_object_or_404(queries.categories(), slug=slug)
        with told_to_client(), still(request, lambda: CategorySerializer(category).data) as is_named:
            actions.delete_category(category, actor=self.member, is_as_read=is_named)
        return Response(status=status.HTTP_204_NO_CONTENT)


class TagList(BlogView):
    queryset = Tag.objects.none()
    serializer_class = TagSerializer

    def order(self) -> tuple[str, ...]:
        return ("slug",)

    @extend_schema(tags=["blog"], responses=TagSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List the tags of published posts."""
        return self.page_of(queries.tags_in_use(), TagSerializer)


def _told(slug: str) -> dict[str, object]:
    return CategorySerializer(get_object_or_404(queries.categories(), slug=slug)).data
