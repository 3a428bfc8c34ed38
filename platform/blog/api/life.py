"""From a draft to what everybody reads, and back, by the API. With `If-Match` it's done with what was read, or not."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from blog import actions
from blog.api.base import BlogView, told_to_client
from blog.api.conditions import CHANGED, IF_MATCH, matching
from blog.models import Post
from blog.serializers import ApprovalInput, PostSerializer, ScheduleInput, SendBackInput

F = TypeVar("F", bound=Callable[..., Response])
_VERSION = "2030-01-30T16:20:05.123456+00:00/review"


def _schema(request: Any = None, *examples: OpenApiExample) -> Callable[[F], F]:
    return extend_schema(
        tags=["blog"],
        parameters=[IF_MATCH],
        request=request,
        responses={200: PostSerializer, 412: CHANGED},
        examples=list(examples),
    )


class LifeView(BlogView):
    serializer_class = PostSerializer

    def done(self, slug: str, action: Callable[..., Post], given: type[Serializer[Any]] | None = None) -> Response:
        """Do it with the post, and answer with what it is then."""
        post = self.post_named(slug)
        values = self.valid(given(data=self.request.data)) if given else {}
        with told_to_client(), matching(self.request, post) as version:
            if version is not None:
                values.setdefault("version", version)
            post = action(post, actor=self.member, **values)
        return self.told(post)


class PostPublish(LifeView):
    @_schema()
    def post(self, request: Request, slug: str) -> Response:
        """Publish a draft."""
        return self.done(slug, actions.publish_post)


class PostSchedule(LifeView):
    @_schema(
        ScheduleInput, OpenApiExample("in the morning", value={"publish_at": "2030-01-31T09:00Z"}, request_only=True)
    )
    def post(self, request: Request, slug: str) -> Response:
        """Have a draft published at a time to come, or a scheduled post at another time."""
        return self.done(slug, actions.schedule_post, ScheduleInput)


class PostUnschedule(LifeView):
    @_schema()
    def post(self, request: Request, slug: str) -> Response:
        """Take a scheduled post back to a draft."""
        return self.done(slug, actions.unschedule_post)


class PostRequestReview(LifeView):
    @_schema()
    def post(self, request: Request, slug: str) -> Response:
        """Ask for a draft to be reviewed."""
        return self.done(slug, actions.request_review)


class PostWithdrawReview(LifeView):
    @_schema()
    def post(self, request: Request, slug: str) -> Response:
        """Take a post that waits for its review back to a draft."""
        return self.done(slug, actions.withdraw_review)


class PostApprove(LifeView):
    @_schema(ApprovalInput, OpenApiExample("now", value={"version": _VERSION}, request_only=True))
    def post(self, request: Request, slug: str) -> Response:
        """Publish what was reviewed, or schedule it: the `version` that you read; 409 where it was changed since."""
        return self.done(slug, actions.approve_post, ApprovalInput)


class PostSendBack(LifeView):
    @_schema(
        SendBackInput, OpenApiExample("a note", value={"note": "The second half needs a source."}, request_only=True)
    )
    def post(self, request: Request, slug: str) -> Response:
        """Give a post that you reviewed back to its authors, who see the note; you may not see it any longer."""
        return self.done(slug, actions.send_back_post, SendBackInput)


class PostUnpublish(LifeView):
    @_schema()
    def post(self, request: Request, slug: str) -> Response:
        """Take a post back to a draft."""
        return self.done(slug, actions.unpublish_post)
