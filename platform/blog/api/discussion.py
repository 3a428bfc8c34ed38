"""Reports and decisions on comments, and what people follow, by the API."""

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.scopes import ScopePermission
from blog import actions, queries, rules
from blog.actions.following import Followed
from blog.api.base import BlogView, told_to_client
from blog.api.conditions import CHANGED, IF_MATCH, still
from blog.models import Category, Comment, Report, Subscription
from blog.serializers import (
    CommentSerializer,
    DecisionInput,
    ModeratedCommentSerializer,
    ReportFilters,
    ReportInput,
    ReportSerializer,
    SubscriptionInput,
    SubscriptionSerializer,
)


class CommentReport(BlogView):
    serializer_class = ReportSerializer

    @extend_schema(tags=["blog"], request=ReportInput, responses={201: ReportSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Tell moderators of a comment."""
        comment = self.comment_numbered(pk)
        values = self.valid(ReportInput(data=request.data))
        with told_to_client():
            report = actions.report_comment(comment, actor=self.member, **values)
        return Response(ReportSerializer(report).data, status=status.HTTP_201_CREATED)


class CommentDecision(BlogView):
    serializer_class = CommentSerializer

    @extend_schema(
        tags=["blog"],
        parameters=[IF_MATCH],
        request=DecisionInput,
        responses={200: CommentSerializer, 412: CHANGED},
    )
    def post(self, request: Request, pk: int) -> Response:
        """Leave a comment as it is, hide or delete it, which closes its reports; or show it again."""
        comment = self.comment_numbered(pk)
        values = self.valid(DecisionInput(data=request.data))
        with told_to_client(), still(request, lambda: CommentSerializer(comment).data) as is_named:
            if values["decision"] == "visible":
                comment = actions.show_comment(comment, actor=self.member, is_as_read=is_named)
            else:
                comment = actions.decide_reports(comment, actor=self.member, is_as_read=is_named, **values)
        return Response(CommentSerializer(comment).data)


class ModerationList(BlogView):
    """What moderators look at."""

    queryset = Comment.objects.none()
    serializer_class = ModeratedCommentSerializer
    permission_classes = [IsAuthenticated, ScopePermission]

    def order(self) -> tuple[str, ...]:
        return ("-id",) if self._is_of_hidden() else ("first_report", "id")

    def _is_of_hidden(self) -> bool:
        wanted = self.request.query_params.get("show", "reported")
        if wanted not in ("reported", "hidden"):
            raise ValidationError({"show": ["Give one of: reported, hidden."]})
        return wanted == "hidden"

    @extend_schema(
        tags=["blog"],
        parameters=[
            OpenApiParameter(
                "show",
                enum=["reported", "hidden"],
                description="Those that wait for a decision, what was reported first before the others; or the hidden.",
            )
        ],
        responses=ModeratedCommentSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List the comments that wait for a moderator, or that are hidden, with their words."""
        with told_to_client():
            rules.require(rules.can_see_reports, self.member, None, action="see_reports")
        comments = queries.hidden_comments() if self._is_of_hidden() else queries.reported_comments()
        return self.page_of(comments, ModeratedCommentSerializer)


class ReportList(BlogView):
    """What was reported, newest first: to moderators all of it, to others what they reported."""

    queryset = Report.objects.none()
    serializer_class = ReportSerializer
    permission_classes = [IsAuthenticated, ScopePermission]

    @extend_schema(
        tags=["blog"],
        parameters=[ReportFilters],
        responses=ReportSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List reports."""
        filters = ReportFilters(data=request.query_params)
        filters.is_valid(raise_exception=True)
        reports = queries.reports_visible_to(request.user)
        if filters.validated_data["open"]:
            reports = reports.filter(decision=Report.Decision.OPEN)
        return self.page_of(reports, ReportSerializer)


class SubscriptionList(BlogView):
    """What you follow, the latest first."""

    queryset = Subscription.objects.none()
    serializer_class = SubscriptionSerializer
    permission_classes = [IsAuthenticated, ScopePermission]

    @extend_schema(tags=["blog"], responses=SubscriptionSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List what you follow."""
        return self.page_of(queries.subscriptions_of(self.member), SubscriptionSerializer)

    @extend_schema(tags=["blog"], request=SubscriptionInput, responses={201: SubscriptionSerializer})
    def post(self, request: Request) -> Response:
        """Follow an author, a category or a post."""
        values = self.valid(SubscriptionInput(data=request.data))
        with told_to_client():
            subscription = actions.follow(self._wanted(values), actor=self.member)
        return Response(SubscriptionSerializer(subscription).data, status=status.HTTP_201_CREATED)

    def _wanted(self, values: dict[str, str]) -> Followed:
        if "author" in values:
            author: User = get_object_or_404(User, username=values["author"])
            return author
        if "category" in values:
            return get_object_or_404(Category, slug=values["category"])
        return self.post_named(values["post"])


class SubscriptionDetail(BlogView):
    serializer_class = SubscriptionSerializer
    permission_classes = [IsAuthenticated, ScopePermission]

    @extend_schema(tags=["blog"], responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Follow it no longer."""
        subscription = get_object_or_404(queries.subscriptions_of(self.member), pk=pk)
        what = subscription.author or subscription.category or subscription.post
        if what is not None:
            actions.unfollow(what, actor=self.member)
        return Response(status=status.HTTP_204_NO_CONTENT)
