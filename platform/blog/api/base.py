"""What the views of the blog's API share."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.scopes import ScopePermission
from blog import queries
from blog.api.conditions import conditional, etag_of
from blog.errors import ConflictError, InvalidError, NotAllowedError
from blog.models import Category, Comment, Post
from blog.serializers import PostSerializer


class Conflict(APIException):
    status_code = 409


@contextmanager
def told_to_client() -> Iterator[None]:
    """Turn what an action says into an answer: 403, 404, 409, or 400 with the name of the field."""
    try:
        yield
    except NotAllowedError as error:
        raise PermissionDenied(str(error)) from error
    except ConflictError as error:
        raise Conflict(str(error)) from error
    except InvalidError as error:
        raise ValidationError({field: [message] for field, message in error.messages.items()}) from error
    except (Post.DoesNotExist, Comment.DoesNotExist, Category.DoesNotExist) as error:
        raise Http404 from error


class OrderOfView(BaseFilterBackend):
    """Tells the cursor pagination in which order the view's rows come."""

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:
        return cast(tuple[str, ...], view.order())

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        return queryset


class BlogView(GenericAPIView[Any]):
    """Everybody reads; whoever writes is logged in, by session, or by a token with the scope `blog:write`."""

    permission_classes = [IsAuthenticatedOrReadOnly, ScopePermission]
    filter_backends = [OrderOfView]

    last_modified: datetime | None = None

    def order(self) -> tuple[str, ...]:
        return ("-id",)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Let readers ask whether anything changed since."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if request.method in ("GET", "HEAD") and response.status_code == 200:
            return conditional(request, response, self.last_modified)
        return response

    @property
    def member(self) -> User:
        return cast(User, self.request.user)

    def valid(self, serializer: Any) -> dict[str, Any]:
        serializer.is_valid(raise_exception=True)
        return cast(dict[str, Any], serializer.validated_data)

    def post_named(self, slug: str) -> Post:
        return get_object_or_404(queries.posts_visible_to(self.request.user), slug=slug)

    def comment_numbered(self, pk: int) -> Comment:
        return get_object_or_404(queries.comments_visible_to(self.request.user), pk=pk)

    def told(self, post: Post) -> Response:
        """Answer with a post that was changed, and which version it is now."""
        data = PostSerializer(post).data
        return Response(data, headers={"ETag": etag_of(data)})

    def page_of(self, rows: QuerySet[Any], serializer: type[Any]) -> Response:
        page = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(serializer(page, many=True).data)
