"""Comments by the API."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from blog import actions, queries
from blog.api.base import BlogView, told_to_client
from blog.api.conditions import CHANGED, IF_MATCH, IF_NONE_MATCH, NOT_MODIFIED, etag_of, still
from blog.models import Comment
from blog.serializers import CommentChange, CommentInput, CommentSerializer


class CommentList(BlogView):
    """The comments on a post, oldest first, replies among them."""

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
        """Comment on a published post, or reply to a comment."""
        post = self.post_named(slug)
        values = self.valid(CommentInput(data=request.data))
        parent = Comment(pk=values["parent"]) if "parent" in values else None
        with told_to_client():
            comment = actions.add_comment(post, author=self.member, body=values["body"], parent=parent)
        return Response(CommentSerializer(comment).data, status=status.HTTP_201_CREATED)


class CommentDetail(BlogView):
    serializer_class = CommentSerializer

    @extend_schema(tags=["blog"], parameters=[IF_NONE_MATCH], responses={200: CommentSerializer, 304: NOT_MODIFIED})
    def get(self, request: Request, pk: int) -> Response:
        """Return a comment."""
        return Response(CommentSerializer(self.comment_numbered(pk)).data)

    @extend_schema(
        tags=["blog"],
        parameters=[IF_MATCH],
        request=CommentChange,
        responses={200: CommentSerializer, 412: CHANGED},
    )
    def patch(self, request: Request, pk: int) -> Response:
        """Change the words of a comment: one's own for a quarter of an hour, moderators any."""
        comment = self.comment_numbered(pk)
        values = self.valid(CommentChange(data=request.data))
        with told_to_client(), still(request, lambda: CommentSerializer(comment).data) as is_named:
            comment = actions.edit_comment(comment, actor=self.member, is_as_read=is_named, **values)
        told = CommentSerializer(comment).data
        return Response(told, headers={"ETag": etag_of(told)})

    @extend_schema(tags=["blog"], parameters=[IF_MATCH], responses={204: None, 412: CHANGED})
    def delete(self, request: Request, pk: int) -> Response:
        """Take a comment away."""
        comment = self.comment_numbered(pk)
        with told_to_client(), still(request, lambda: CommentSerializer(comment).data) as is_named:
            actions.delete_comment(comment, actor=self.member, is_as_read=is_named)
        return Response(status=status.HTTP_204_NO_CONTENT)
