"""From a draft to what everybody reads, and back, by the API."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from blog import actions
from blog.api.base import BlogView, told_to_client
from blog.serializers import ApprovalInput, PostSerializer, ScheduleInput, SendBackInput


class PostPublish(BlogView):
    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], request=None, responses=PostSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Publish a draft."""
        with told_to_client():
            post = actions.publish_post(self.post_named(slug), actor=self.member)
        return Response(PostSerializer(post).data)


class PostSchedule(BlogView):
    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], request=ScheduleInput, responses=PostSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Have a draft published at a time to come, or a scheduled post at another time."""
        post = self.post_named(slug)
        values = self.valid(ScheduleInput(data=request.data))
        with told_to_client():
            post = actions.schedule_post(post, actor=self.member, **values)
        return Response(PostSerializer(post).data)


class PostUnschedule(BlogView):
    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], request=None, responses=PostSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Take a scheduled post back to a draft."""
        with told_to_client():
            post = actions.unschedule_post(self.post_named(slug), actor=self.member)
        return Response(PostSerializer(post).data)


class PostRequestReview(BlogView):
    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], request=None, responses=PostSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Ask for a draft to be reviewed."""
        with told_to_client():
            post = actions.request_review(self.post_named(slug), actor=self.member)
        return Response(PostSerializer(post).data)


class PostWithdrawReview(BlogView):
    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], request=None, responses=PostSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Take a post that waits for its review back to a draft."""
        with told_to_client():
            post = actions.withdraw_review(self.post_named(slug), actor=self.member)
        return Response(PostSerializer(post).data)


class PostApprove(BlogView):
    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], request=ApprovalInput, responses=PostSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Publish what was reviewed, or schedule it: the `version` that you read; 409 where it was changed since."""
        post = self.post_named(slug)
        values = self.valid(ApprovalInput(data=request.data))
        with told_to_client():
            post = actions.approve_post(post, actor=self.member, **values)
        return Response(PostSerializer(post).data)


class PostSendBack(BlogView):
    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], request=SendBackInput, responses=PostSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Give a post that you reviewed back to its authors, who see the note; you may not see it any longer."""
        post = self.post_named(slug)
        values = self.valid(SendBackInput(data=request.data))
        with told_to_client():
            post = actions.send_back_post(post, actor=self.member, **values)
        return Response(PostSerializer(post).data)


class PostUnpublish(BlogView):
    serializer_class = PostSerializer

    @extend_schema(tags=["blog"], request=None, responses=PostSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Take a post back to a draft."""
        with told_to_client():
            post = actions.unpublish_post(self.post_named(slug), actor=self.member)
        return Response(PostSerializer(post).data)
