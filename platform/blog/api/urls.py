"""Every address below `/api/blog/`."""

from django.urls import path

from blog.api import comments, discussion, life, posts, taxonomy

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
    path("posts/<slug:slug>/comments/", comments.CommentList.as_view(), name="blog-comment-list"),
    path("categories/", taxonomy.CategoryList.as_view(), name="blog-category-list"),
    path("tags/", taxonomy.TagList.as_view(), name="blog-tag-list"),
    path("comments/<int:pk>/", comments.CommentDetail.as_view(), name="blog-comment"),
    path("comments/<int:pk>/report/", discussion.CommentReport.as_view(), name="blog-comment-report"),
    path("comments/<int:pk>/decide/", discussion.CommentDecision.as_view(), name="blog-comment-decide"),
    path("reports/", discussion.ReportList.as_view(), name="blog-report-list"),
    path("subscriptions/", discussion.SubscriptionList.as_view(), name="blog-subscription-list"),
    path("subscriptions/<int:pk>/", discussion.SubscriptionDetail.as_view(), name="blog-subscription"),
]
