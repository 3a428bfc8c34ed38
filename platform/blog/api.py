"""The API of the blog: the same actions and rules as the pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.scopes import ScopePermission
from blog import actions, queries
from blog.errors import InvalidError, NotAllowedError
from blog.models import Comment, Post, Status
from blog.serializers import (
    CommentInput,
    CommentSerializer,
    PostChange,
    PostInput,
    PostListSerializer,
    PostSerializer,
    ScheduleInput,
)

_STATUS = OpenApiParameter(
    "status",
    enum=Status.values,
    description="`published` (the default), or another for those of its posts that you may see.",
)


@contextmanager
def _told_to_client() -> Iterator[None]:
    """Turn what an action says into an answer: 403, 404, or 400 with the name of the field."""
    try:
        yield
    except NotAllowedError as error:
        raise PermissionDenied(str(error)) from error
    except InvalidError as error:
        raise ValidationError({field: [message] for field, message in error.messages.items()}) from error
    except (Post.DoesNotExist, Comment.DoesNotExist) as error:
        raise Http404 from error


class OrderOfView(BaseFilterBackend):
    """Tells the cursor pagination in which order the view's rows come."""

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:
        return cast(tuple[str, ...], view.order())

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        return queryset


class _BlogView(GenericAPIView[Any]):
    """Everybody reads; whoever writes is logged in, by session, or by a token with the scope `blog:write`."""

    permission_classes = [IsAuthenticatedOrReadOnly, ScopePermission]
    filter_backends = [OrderOfView]

    def order(self) -> tuple[str, ...]:
        return ("-id",)

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

    def page_of(self, rows: QuerySet[Any], serializer: type[Any]) -> Response:
        page = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(serializer(page, many=True).data)


class PostList(_BlogView):
    """Posts, newest first, without their texts."""

    queryset = Post.objects.none()
    serializer_class = PostListSerializer

    def order(self) -> tuple[str, ...]:
        return ("-published_at", "-id") if self._wanted() == Status.PUBLISHED else ("-updated_at", "-id")

    def _wanted(self) -> str:
        wanted = self.request.query_params.get("status", Status.PUBLISHED)
        if wanted not in Status.values:
            raise ValidationError({"status": [f"Give one of: {', '.join(Status.values)}."]})
        return wanted

    @extend_schema(tags=["blog"], parameters=[_STATUS], responses=PostListSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List posts."""
        posts, wanted = queries.published_posts(), self._wanted()
        if wanted != Status.PUBLISHED:
            posts = queries.drafts_visible_to(request.user).filter(status=wanted)
        return self.page_of(queries.with_comment_counts(posts), PostListSerializer)

    @extend_schema(tags=["blog"], request=PostInput, responses={201: PostSerializer})
    def post(self, request: Request) -> Response:
        """Write a new draft; `…/publish/` publishes it."""
        values = self.valid(PostInput(data=request.data))
        with _told_to_client():
            post = actions.create_post(actor=self.member, **values)
        headers = {"Location": request.build_absolute_uri(f"{post.slug}/")}
        return Response(PostSerializer(post).data, status=status.HTTP_201_CREATED, headers=headers)


class PostDetail(_BlogView):
    """One post with its text."""

    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], responses=PostSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """Return a post."""
        return Response(PostSerializer(self.post_named(slug)).data)

    @extend_schema(tags=["blog"], request=PostChange, responses=PostSerializer)
    def patch(self, request: Request, slug: str) -> Response:
        """Change what is given of a post."""
        post = self.post_named(slug)
        values = self.valid(PostChange(data=request.data))
        with _told_to_client():
            post = actions.update_post(post, actor=self.member, **values)
        return Response(PostSerializer(post).data)

    @extend_schema(tags=["blog"], responses={204: None})
    def delete(self, request: Request, slug: str) -> Response:
        """Delete a post with its comments and images."""
        with _told_to_client():
            actions.delete_post(self.post_named(slug), actor=self.member)
        return Response(status=status.HTTP_204_NO_CONTENT)


class PostPublish(_BlogView):
    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], request=None, responses=PostSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Publish a draft."""
        with _told_to_client():
            post = actions.publish_post(self.post_named(slug), actor=self.member)
        return Response(PostSerializer(post).data)


class PostSchedule(_BlogView):
    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], request=ScheduleInput, responses=PostSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Have a draft published at a time to come, or a scheduled post at another time."""
        post = self.post_named(slug)
        values = self.valid(ScheduleInput(data=request.data))
        with _told_to_client():
            post = actions.schedule_post(post, actor=self.member, **values)
        return Response(PostSerializer(post).data)


class PostUnschedule(_BlogView):
    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], request=None, responses=PostSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Take a scheduled post back to a draft."""
        with _told_to_client():
            post = actions.unschedule_post(self.post_named(slug), actor=self.member)
        return Response(PostSerializer(post).data)


class PostUnpublish(_BlogView):
    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], request=None, responses=PostSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Take a post back to a draft."""
        with _told_to_client():
            post = actions.unpublish_post(self.post_named(slug), actor=self.member)
        return Response(PostSerializer(post).data)


class CommentList(_BlogView):
    """The comments on a post, oldest first."""

    queryset = Comment.objects.none()
    serializer_class = CommentSerializer

    def order(self) -> tuple[str, ...]:
        return ("id",)

    @extend_schema(tags=["blog"], responses=CommentSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """List the comments on a post."""
        return self.page_of(queries.comments_of(self.post_named(slug)), CommentSerializer)

    @extend_schema(tags=["blog"], request=CommentInput, responses={201: CommentSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Comment on a published post."""
        post = self.post_named(slug)
        values = self.valid(CommentInput(data=request.data))
        with _told_to_client():
            comment = actions.add_comment(post, author=self.member, **values)
        return Response(CommentSerializer(comment).data, status=status.HTTP_201_CREATED)


class CommentDetail(_BlogView):
    serializer_class = CommentSerializer

    @extend_schema(tags=["blog"], request=CommentInput, responses=CommentSerializer)
    def patch(self, request: Request, pk: int) -> Response:
        """Change the words of a comment."""
        comment = self.comment_numbered(pk)
        values = self.valid(CommentInput(data=request.data))
        with _told_to_client():
            comment = actions.edit_comment(comment, actor=self.member, **values)
        return Response(CommentSerializer(comment).data)

    @extend_schema(tags=["blog"], responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Take a comment away."""
        with _told_to_client():
            actions.delete_comment(self.comment_numbered(pk), actor=self.member)
        return Response(status=status.HTTP_204_NO_CONTENT)


api_urlpatterns = [
    path("posts/", PostList.as_view(), name="blog-post-list"),
    path("posts/<slug:slug>/", PostDetail.as_view(), name="blog-post"),
    path("posts/<slug:slug>/publish/", PostPublish.as_view(), name="blog-post-publish"),
    path("posts/<slug:slug>/schedule/", PostSchedule.as_view(), name="blog-post-schedule"),
    path("posts/<slug:slug>/unschedule/", PostUnschedule.as_view(), name="blog-post-unschedule"),
    path("posts/<slug:slug>/unpublish/", PostUnpublish.as_view(), name="blog-post-unpublish"),
    path("posts/<slug:slug>/comments/", CommentList.as_view(), name="blog-comment-list"),
    path("comments/<int:pk>/", CommentDetail.as_view(), name="blog-comment"),
]
