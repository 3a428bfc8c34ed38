"""Posts by the API: the same actions and rules as the pages."""

from datetime import datetime

from django.db.models import Q
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.fields import DateTimeField
from rest_framework.request import Request
from rest_framework.response import Response

from blog import actions, queries
from blog.api.base import BlogView, told_to_client
from blog.api.conditions import CHANGED, IF_MATCH, IF_NONE_MATCH, NOT_MODIFIED, changed_at, matching
from blog.models import Post, Status
from blog.search.queries import words_of
from blog.serializers import PostChange, PostInput, PostListSerializer, PostSerializer
from blog.slugs import path_of

MOVED = OpenApiResponse(description="It has another address now: see `Location`.")

_STATUS = OpenApiParameter(
    "status",
    enum=Status.values,
    description="`published` (the default), or another for those of its posts that you may see.",
)
_FILTERS = [
    OpenApiParameter("category", description="A category's slug."),
    OpenApiParameter("tag", description="A tag's slug."),
    OpenApiParameter("author", description="The username of who wrote it."),
    OpenApiParameter(
        "since", datetime, description="Published from then on; those that aren't published: changed. ISO 8601."
    ),
    OpenApiParameter("until", datetime, description="Published, or changed, before then; a month's archive has both."),
    OpenApiParameter("q", description='Words of its text: all of them, `"in quotes"` together, `or`, `-without`.'),
]


class PostList(BlogView):
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

    def _chosen(self) -> Q:
        given, chosen = self.request.query_params, Q()
        if "category" in given:
            chosen &= Q(category__slug=given["category"])
        if "tag" in given:
            chosen &= Q(pk__in=Post.tags.through.objects.filter(tag__slug=given["tag"]).values("post"))
        if "author" in given:
            coauthored = Post.coauthors.through.objects.filter(user__username=given["author"]).values("post")
            chosen &= Q(author__username=given["author"]) | Q(pk__in=coauthored)
        if "q" in given:
            chosen &= Q(document=words_of(given["q"]))
        for name, lookup in (("since", "gte"), ("until", "lt")):
            if name in given:
                chosen &= Q(**{f"{self.order()[0].lstrip('-')}__{lookup}": _moment(name, given[name])})
        return chosen

    @extend_schema(tags=["blog"], parameters=[_STATUS, *_FILTERS], responses=PostListSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List posts."""
        posts, wanted = queries.published_posts(), self._wanted()
        if wanted != Status.PUBLISHED:
            posts = queries.drafts_visible_to(request.user).filter(status=wanted)
        posts = posts.filter(self._chosen())
        return self.page_of(queries.with_comment_counts(posts), PostListSerializer)

    @extend_schema(tags=["blog"], request=PostInput, responses={201: PostSerializer})
    def post(self, request: Request) -> Response:
        """Write a new draft; `…/publish/` publishes it."""
        values = self.valid(PostInput(data=request.data))
        with told_to_client():
            post = actions.create_post(actor=self.member, **values)
        headers = {"Location": request.build_absolute_uri(f"{post.slug}/")}
        return Response(PostSerializer(post).data, status=status.HTTP_201_CREATED, headers=headers)


def _moment(name: str, text: str) -> datetime:
    try:
        moment: datetime = DateTimeField().run_validation(text)
    except ValidationError as error:
        raise ValidationError({name: error.detail}) from error
    return moment


class PostDetail(BlogView):
    """One post with its text."""

    serializer_class = PostSerializer

    @extend_schema(
        tags=["blog"],
        parameters=[IF_NONE_MATCH],
        responses={200: PostSerializer, 301: MOVED, 304: NOT_MODIFIED},
    )
    def get(self, request: Request, slug: str) -> Response:
        """Return a post; the address that a published one had before leads to it."""
        try:
            post = self.post_named(slug)
        except Http404:
            if not (now := queries.slug_now(path_of(slug))):
                raise
            place = request.build_absolute_uri(reverse("blog-post", args=[now]))
            return Response(status=status.HTTP_301_MOVED_PERMANENTLY, headers={"Location": place})
        self.last_modified = changed_at(post)
        return Response(PostSerializer(post).data)

    @extend_schema(
        tags=["blog"],
        parameters=[IF_MATCH],
        request=PostChange,
        responses={200: PostSerializer, 412: CHANGED},
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change what is given of a post."""
        post = self.post_named(slug)
        values = self.valid(PostChange(data=request.data))
        with told_to_client(), matching(request, post) as version:
            if version is not None:
                values.setdefault("version", version)
            post = actions.update_post(post, actor=self.member, **values)
        return self.told(self.post_named(post.slug))

    @extend_schema(tags=["blog"], parameters=[IF_MATCH], responses={204: None, 412: CHANGED})
    def delete(self, request: Request, slug: str) -> Response:
        """Delete a post with its comments and images."""
        post = self.post_named(slug)
        with told_to_client(), matching(request, post) as version:
            actions.delete_post(post, actor=self.member, version=version)
        return Response(status=status.HTTP_204_NO_CONTENT)
