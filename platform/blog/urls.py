from django.urls import path

from blog.views import commenting, editor, history, reading, reviewing, writing

app_name = "blog"
urlpatterns = [
    path("", reading.home, name="home"),
    path("blog/", reading.archive, name="archive"),
    path("blog/new/", writing.new_post, name="new_post"),
    path("blog/new/autosave/", editor.autosave, name="autosave_new"),
    path("blog/new/discard/", editor.discard, name="discard_new"),
    path("blog/new/preview/", editor.preview, name="preview_new"),
    path("blog/drafts/", reading.drafts, name="drafts"),
    path("blog/category/<slug:slug>/", reading.category, name="category"),
    path("blog/tag/<str:slug>/", reading.tag, name="tag"),
    path("blog/author/<str:username>/", reading.author, name="author"),
    path("blog/comments/<int:pk>/", reading.comment, name="comment"),
    path("blog/comments/<int:pk>/edit/", commenting.edit_comment, name="edit_comment"),
    path("blog/comments/<int:pk>/delete/", commenting.delete_comment, name="delete_comment"),
    path("blog/<slug:slug>/", reading.post, name="post"),
    path("blog/<slug:slug>/edit/", writing.edit_post, name="edit_post"),
    path("blog/<slug:slug>/autosave/", editor.autosave, name="autosave"),
    path("blog/<slug:slug>/discard/", editor.discard, name="discard"),
    path("blog/<slug:slug>/preview/", editor.preview, name="preview"),
    path("blog/<slug:slug>/editing/", editor.editing, name="editing"),
    path("blog/<slug:slug>/history/", history.history, name="history"),
    path("blog/<slug:slug>/history/<int:event_id>/", history.revision, name="revision"),
    path("blog/<slug:slug>/history/<int:event_id>/restore/", history.restore, name="restore"),
    path("blog/<slug:slug>/publish/", writing.publish_post, name="publish_post"),
    path("blog/<slug:slug>/unschedule/", writing.unschedule_post, name="unschedule_post"),
    path("blog/<slug:slug>/request-review/", reviewing.request_review, name="request_review"),
    path("blog/<slug:slug>/withdraw-review/", reviewing.withdraw_review, name="withdraw_review"),
    path("blog/<slug:slug>/review/", reviewing.review, name="review_post"),
    path("blog/<slug:slug>/unpublish/", writing.unpublish_post, name="unpublish_post"),
    path("blog/<slug:slug>/delete/", writing.delete_post, name="delete_post"),
    path("blog/<slug:slug>/comment/", commenting.add_comment, name="add_comment"),
]
