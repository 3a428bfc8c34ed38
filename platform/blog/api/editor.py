"""What an editor needs while somebody types: previews, copies of what isn't saved yet, and who else is at it."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.scopes import ScopePermission
from blog import actions, queries, rules
from blog.actions.autosaving import FIELDS
from blog.api.base import BlogView, told_to_client
from blog.api.conditions import CHANGED, IF_MATCH, matching
from blog.editing import editors_of, note_editing, stop_editing
from blog.markdown import render_post
from blog.models import Post
from blog.outlines import Outline
from blog.serializers import (
    AutosavedSerializer,
    EditorsSerializer,
    PendingCopyInput,
    PendingCopySerializer,
    PreviewInput,
    PreviewSerializer,
)


class EditorView(BlogView):
    permission_classes = [IsAuthenticated, ScopePermission]

    def post_to_edit(self, slug: str, action: str) -> Post:
        """Return a post that the client may change; who may not is recorded."""
        post = self.post_named(slug)
        with told_to_client():
            rules.require(rules.can_edit_post, self.member, post, action=action)
        return post

    def require_writer(self, action: str) -> None:
        """Let nobody else go on; who may not is recorded."""
        with told_to_client():
            rules.require(rules.can_write_posts, self.member, None, action=action)


class Preview(EditorView):
    serializer_class = PreviewSerializer

    @extend_schema(
        tags=["blog"],
        request=PreviewInput,
        responses=PreviewSerializer,
        examples=[OpenApiExample("a text", value={"body": "# Glass\n\nIt *breaks*."}, request_only=True)],
    )
    def post(self, request: Request) -> Response:
        """Render Markdown as readers would see it; nothing is stored."""
        values = self.valid(PreviewInput(data=request.data))
        post = self.post_to_edit(values["post"], "preview_post") if "post" in values else None
        if post is None:
            self.require_writer("preview_post")
        with told_to_client():
            html = render_post(values["body"], queries.pictures_of(post) if post else {})
        shown = Outline(Post(body_markdown=values["body"], body_html=html))
        return Response(PreviewSerializer({"body_html": html, "outline": shown}).data)


class PostPendingCopy(EditorView):
    """What you typed into a post's editor and didn't save."""

    serializer_class = PendingCopySerializer

    @extend_schema(tags=["blog"], responses=PendingCopySerializer)
    def get(self, request: Request, slug: str) -> Response:
        """Return what you typed and didn't save; 404 where there's nothing."""
        return Response(_kept(self.post_to_edit(slug, "autosave"), self.member))

    @extend_schema(
        tags=["blog"],
        parameters=[IF_MATCH],
        request=PendingCopyInput,
        responses={200: AutosavedSerializer, 412: CHANGED},
    )
    def put(self, request: Request, slug: str) -> Response:
        """Keep what is typed: a draft that can be saved is; of all else you alone have a copy."""
        post = self.post_named(slug)
        values = self.valid(PendingCopyInput(data=request.data))
        with told_to_client(), matching(request, post) as version:
            wanted = version or values.get("version") or post.version
            saved = actions.autosave(post, _typed(values), actor=self.member, version=wanted)
        return Response(_autosaved(saved))

    @extend_schema(tags=["blog"], responses={204: None})
    def delete(self, request: Request, slug: str) -> Response:
        """Throw away what you typed and didn't save."""
        actions.discard_pending_copy(self.post_to_edit(slug, "autosave"), actor=self.member)
        return Response(status=status.HTTP_204_NO_CONTENT)


class NewPendingCopy(EditorView):
    """What you typed of a post that isn't there yet."""

    serializer_class = PendingCopySerializer

    @extend_schema(tags=["blog"], responses=PendingCopySerializer)
    def get(self, request: Request) -> Response:
        """Return what you typed of a new post; 404 where there's nothing."""
        self.require_writer("autosave")
        return Response(_kept(None, self.member))

    @extend_schema(tags=["blog"], request=PendingCopyInput, responses=AutosavedSerializer)
    def put(self, request: Request) -> Response:
        """Keep what is typed of a new post."""
        values = self.valid(PendingCopyInput(data=request.data))
        with told_to_client():
            actions.autosave(None, _typed(values), actor=self.member)
        return Response(_autosaved(None))

    @extend_schema(tags=["blog"], responses={204: None})
    def delete(self, request: Request) -> Response:
        """Throw away what you typed of a new post."""
        self.require_writer("autosave")
        actions.discard_pending_copy(None, actor=self.member)
        return Response(status=status.HTTP_204_NO_CONTENT)


class PostEditing(EditorView):
    """Who has a post's editor open."""

    serializer_class = EditorsSerializer

    @extend_schema(tags=["blog"], responses=EditorsSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """Say who else is editing."""
        post = self.post_to_edit(slug, "see_editors")
        return Response(_editors(post, editors_of(post, but_for=self.member)))

    @extend_schema(tags=["blog"], request=None, responses=EditorsSerializer)
    def put(self, request: Request, slug: str) -> Response:
        """Say that you are editing, every 15 seconds: others are told of it. It's forgotten after 45."""
        post = self.post_to_edit(slug, "note_editing")
        return Response(_editors(post, note_editing(post, self.member)))

    @extend_schema(tags=["blog"], responses={204: None})
    def delete(self, request: Request, slug: str) -> Response:
        """Say that you have left the editor."""
        stop_editing(self.post_to_edit(slug, "note_editing"), self.member)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _kept(post: Post | None, user: User) -> Any:
    found = queries.pending_copy_of(post, user)
    if found is None:
        raise Http404
    return PendingCopySerializer(found).data


def _typed(values: dict[str, Any]) -> dict[str, str]:
    typed = {name: values[name] for name in FIELDS if name in values}
    return typed | ({"tags": ", ".join(typed["tags"])} if "tags" in typed else {})


def _autosaved(saved: Post | None) -> Any:
    return AutosavedSerializer({"is_saved": saved is not None, "version": saved.version if saved else None}).data


def _editors(post: Post, others: Any) -> Any:
    return EditorsSerializer({"others": others, "version": post.version}).data
