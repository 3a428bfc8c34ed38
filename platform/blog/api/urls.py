"""Every address below `/api/blog/`."""

from django.urls import path

from blog.api import comments, discussion, editor, life, posts, revisions, searching, taxonomy

api_urlpatterns = [
    path("posts/", posts.PostList.as_view(), name="blog-post-list"),
    path("posts/<slug:slug>/", posts.PostDetail.as_view(), name="blog-post"),
    path("posts/<slug:slug>/publish/", life.PostPublish.as_view(), name="blog-post-publish"),
    path("posts/<slug:slug>/schedule/", life.PostSchedule.as_view(), name="blog-post-schedule"),
    path("posts/<slug:slug>/unschedule/", life.PostUnschedule.as_view(), name="blog-post-unschedule"),
    path("posts/<slug:slug>/request-review/", life.PostRequestReview.as_view(), name="blog-post-request-review"),
    path("posts/<slug:slug>/withdraw-review/", life.PostWithdrawReview.as_view(), name="blog-post-withdraw-review"),
    path("posts/<slug:slug>/approve/", life.PostApprove.as_view(), name="blog-post-approve"),
    path("posts/<slug:slug>/send-back/", life.PostSendBack.as_view(), name="blog-post-send-back"),
    path("posts/<slug:slug>/unpublish/", life.PostUnpublish.as_view(), name="blog-post-unpublish"),
    path("posts/<slug:slug>/revisions/", revisions.RevisionList.as_view(), name="blog-revision-list"),
    path("posts/<slug:slug>/revisions/<int:event_id>/", revisions.RevisionDetail.as_view(), name="blog-revision"),
    path("posts/<slug:slug>/revisions/<int:event_id>/diff/", revisions.RevisionDiff.as_view(), name="blog-diff"),
    path(
        "posts/<slug:slug>/revisions/<int:event_id>/restore/", revisions.RevisionRestore.as_view(), name="blog-restore"
    ),
    path("posts/<slug:slug>/editing/", editor.PostEditing.as_view(), name="blog-editing"),
    path("posts/<slug:slug>/pending-copy/", editor.PostPendingCopy.as_view(), name="blog-pending-copy"),
    path("pending-copy/", editor.NewPendingCopy.as_view(), name="blog-new-pending-copy"),
    path("preview/", editor.Preview.as_view(), name="blog-preview"),
    path("search/", searching.Search.as_view(), name="blog-search"),
    path("posts/<slug:slug>/comments/", comments.CommentList.as_view(), name="blog-comment-list"),
    path("categories/", taxonomy.CategoryList.as_view(), name="blog-category-list"),
    path("categories/<slug:slug>/", taxonomy.CategoryDetail.as_view(), name="blog-category"),
    path("tags/", taxonomy.TagList.as_view(), name="blog-tag-list"),
    path("comments/<int:pk>/", comments.CommentDetail.as_view(), name="blog-comment"),
    path("comments/<int:pk>/report/", discussion.CommentReport.as_view(), name="blog-comment-report"),
    path("comments/<int:pk>/decide/", discussion.CommentDecision.as_view(), name="blog-comment-decide"),
    path("moderation/", discussion.ModerationList.as_view(), name="blog-moderation"),
    path("reports/", discussion.ReportList.as_view(), name="blog-report-list"),
    path("subscriptions/", discussion.SubscriptionList.as_view(), name="blog-subscription-list"),
    path("subscriptions/<int:pk>/", discussion.SubscriptionDetail.as_view(), name="blog-subscription"),
]
