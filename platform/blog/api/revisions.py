"""A post's history by the API, out of the ledger: for those who make the post, as on its pages."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from accounts.scopes import ScopePermission
from audit.errors import CursorError
from audit.reading.diffs import Diff
from blog import actions, comparing, limits, queries, revisions, rules
from blog.api.base import BlogView, told_to_client
from blog.api.conditions import CHANGED, IF_MATCH, matching
from blog.comparing import Version
from blog.errors import InvalidError
from blog.markdown import render_post
from blog.models import Post
from blog.serializers import PostSerializer
from telemetry import context


class PieceSerializer(serializers.Serializer[Any]):
    mark = serializers.CharField(help_text="`same`, `old`, `new`, or `skip`: so many characters are left out.")
    text = serializers.CharField()


class DiffSerializer(serializers.Serializer[Any]):
    """How one field changed."""

    field = serializers.CharField()
    kind = serializers.CharField(help_text="`value`: before and after. `text`: pieces. `members`: removed and added.")
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)
    pieces = PieceSerializer(many=True)
    removed = serializers.ListField(child=serializers.CharField())
    added = serializers.ListField(child=serializers.CharField())


class RevisionSerializer(serializers.Serializer[Any]):
    """One change; what was typed in one go, however often it saved itself, is one."""

    id = serializers.IntegerField(help_text="Of the event in the ledger that was the last of it.")
    at = serializers.DateTimeField(source="when")
    who = serializers.CharField(help_text="Empty where it was the system.")
    reason = serializers.CharField()
    is_first = serializers.BooleanField()
    is_autosave = serializers.BooleanField()
    is_of_text = serializers.BooleanField(help_text="Whether there's something to restore.")
    changes = DiffSerializer(many=True)


class RevisionsSerializer(serializers.Serializer[Any]):
    """A page of a history, for the schema."""

    next = serializers.URLField(allow_null=True)
    results = RevisionSerializer(many=True)


class PostVersionSerializer(serializers.Serializer[Any]):
    """A post as it was then."""

    id = serializers.IntegerField(allow_null=True)
    at = serializers.DateTimeField()
    title = serializers.CharField()
    description = serializers.CharField()
    body = serializers.CharField()
    body_html = serializers.CharField(help_text="Empty where the text wouldn't be accepted any more.")
    category = serializers.CharField(help_text="A slug; empty where it had none, or one that is gone.")
    tags = serializers.ListField(child=serializers.CharField())
    slug = serializers.CharField()
    status = serializers.CharField()


class SideSerializer(serializers.Serializer[Any]):
    """One side of a comparison."""

    id = serializers.IntegerField(allow_null=True, help_text="Null: the post as it is now.")
    at = serializers.DateTimeField()


class ComparisonSerializer(serializers.Serializer[Any]):
    before = SideSerializer()
    after = SideSerializer()
    changes = DiffSerializer(many=True)
    unified = serializers.CharField(help_text="How the Markdown differs, as `diff -u` writes it.")


class RestoreInput(serializers.Serializer[Any]):
    reason = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=limits.REASON_CHARACTERS,
        help_text="Why, for the ledger; `X-Audit-Reason` does as well.",
    )


_SIDES = {"before": {"id": 812, "at": "2030-01-30T09:00:00Z"}, "after": {"id": None, "at": "2030-01-31T16:20:05Z"}}
_TITLE: dict[str, Any] = {"kind": "value", "before": "Glass", "after": "On glass"}
_NOTHING: dict[str, Any] = {"pieces": [], "removed": [], "added": []}
_LISTED = OpenApiExample(
    "A new title",
    value={
        "next": None,
        "results": [
            {
                "id": 813,
                "at": "2030-01-31T16:20:05Z",
                "who": "author",
                "reason": "",
                "is_first": False,
                "is_autosave": False,
                "is_of_text": True,
                "changes": [{"field": "title", **_TITLE, **_NOTHING}],
            }
        ],
    },
    response_only=True,
)
_COMPARED = OpenApiExample(
    "A new title, and another word",
    value={
        **_SIDES,
        "changes": [
            {"field": "title", **_TITLE, **_NOTHING},
            {"field": "body", "kind": "value", "before": "It breaks.", "after": "It bends.", **_NOTHING},
        ],
        "unified": "--- revision 812\t2030-01-30T09:00:00+00:00\n+++ now\t2030-01-31T16:20:05+00:00\n"
        "@@ -1 +1 @@\n-It breaks.\n\\ No newline at end of file\n+It bends.\n\\ No newline at end of file\n",
    },
    response_only=True,
)


class HistoryView(BlogView):
    permission_classes = [IsAuthenticated, ScopePermission]

    def post_with_history(self, slug: str) -> Post:
        """Return a post whose history the client may see; who may not is recorded."""
        post = self.post_named(slug)
        with told_to_client():
            rules.require(rules.can_see_history, self.member, post, action="see_history")
        return post


class RevisionList(HistoryView):
    serializer_class = RevisionSerializer

    @extend_schema(
        tags=["blog"],
        parameters=[
            OpenApiParameter("cursor", str, description="Where to go on, from `next`."),
            OpenApiParameter("limit", int, description="How many changes to look at, 1 to 100; 25 where not given."),
        ],
        responses=RevisionsSerializer,
        operation_id="blog_posts_revisions_list",
        examples=[_LISTED],
    )
    def get(self, request: Request, slug: str) -> Response:
        """List a post's changes, newest first. A page may have fewer than asked for, and `next` all the same."""
        post = self.post_with_history(slug)
        pages: Any = self.paginator
        size = pages.get_page_size(request)
        try:
            found, more = revisions.revisions_of(post, before=request.query_params.get("cursor", ""), limit=size)
        except CursorError as error:
            raise ValidationError({"cursor": [str(error)]}) from error
        here = request.build_absolute_uri()
        rows = [_revision(one) for one in found]
        return Response({"next": replace_query_param(here, "cursor", more) if more else None, "results": rows})


class RevisionDetail(HistoryView):
    serializer_class = PostVersionSerializer

    @extend_schema(tags=["blog"], responses=PostVersionSerializer)
    def get(self, request: Request, slug: str, event_id: int) -> Response:
        """Return a post as it was after a change."""
        post = self.post_with_history(slug)
        was = comparing.version_at(post, event_id)
        try:
            html = render_post(was.body, queries.pictures_of(post))
        except InvalidError:
            html = ""
        return Response(_version(was, html))


class RevisionDiff(HistoryView):
    serializer_class = ComparisonSerializer

    @extend_schema(
        tags=["blog"],
        parameters=[OpenApiParameter("to", int, description="Another revision; left out: the post as it is now.")],
        responses=ComparisonSerializer,
        examples=[_COMPARED],
    )
    def get(self, request: Request, slug: str, event_id: int) -> Response:
        """Return how a post went from one revision to another, or to what it is now."""
        post = self.post_with_history(slug)
        before, given = comparing.version_at(post, event_id), request.query_params.get("to")
        if given is None:
            after = comparing.version_now(post)
        elif given.isascii() and given.isdigit() and len(given) < 20:
            after = comparing.version_at(post, int(given))
        else:
            raise ValidationError({"to": ["Give the id of a revision."]})
        told = {
            "before": before,
            "after": after,
            "changes": [_diff(one, one.field) for one in comparing.differences(before, after)],
            "unified": comparing.unified(before, after),
        }
        return Response(ComparisonSerializer(told).data)


class RevisionRestore(HistoryView):
    serializer_class = PostSerializer

    @extend_schema(
        tags=["blog"],
        parameters=[IF_MATCH],
        request=RestoreInput,
        responses={200: PostSerializer, 412: CHANGED},
        examples=[OpenApiExample("why", value={"reason": "Defaced, see ticket 123."}, request_only=True)],
    )
    def post(self, request: Request, slug: str, event_id: int) -> Response:
        """Let a post say again what it said: its texts, category and tags; that it was restored is a change as well."""
        post = self.post_named(slug)
        reason = self.valid(RestoreInput(data=request.data)).get("reason") or context.current().reason
        with told_to_client(), matching(request, post) as version:
            post = actions.restore_revision(post, event_id, actor=self.member, version=version, reason=reason)
        return self.told(self.post_named(post.slug))


def _revision(one: revisions.Revision) -> Any:
    shown = [_diff(diff, revisions.API_NAMES[diff.field]) for diff in one.diffs]
    told = {
        name: getattr(one, name) for name in ("id", "when", "who", "reason", "is_first", "is_autosave", "is_of_text")
    }
    return RevisionSerializer({**told, "changes": shown}).data


def _diff(diff: Diff, name: str) -> dict[str, Any]:
    shown = ("kind", "before", "after", "pieces", "removed", "added")
    return {"field": name, **{one: getattr(diff, one) for one in shown}}


def _version(was: Version, html: str) -> Any:
    names = ("id", "at", "title", "description", "body", "category", "tags", "slug", "status")
    return PostVersionSerializer({**{name: getattr(was, name) for name in names}, "body_html": html}).data
