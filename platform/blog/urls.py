from django.urls import path

from blog.views import commenting, editor, feeds, history, reading, reviewing, searching, sitemaps, writing

app_name = "blog"
urlpatterns = [
    path("", reading.home, name="home"),
    path("blog/", reading.archive, name="archive"),
    path("robots.txt", sitemaps.robots, name="robots"),
    path("sitemap.xml", sitemaps.index, name="sitemap"),
    path("sitemap/pages.xml", sitemaps.shelves, name="sitemap_shelves"),
    path("sitemap/posts-<int:number>.xml", sitemaps.posts, name="sitemap_posts"),
    path("blog/search/", searching.search, name="search"),
    *(
        route
        for form in ("rss", "atom")
        for route in (
            path(f"blog/{form}.xml", feeds.blog, {"form": form}),
            path(f"blog/category/<slug:slug>/{form}.xml", feeds.category, {"form": form}),
            path(f"blog/tag/<str:slug>/{form}.xml", feeds.tag, {"form": form}),
            path(f"blog/author/<str:username>/{form}.xml", feeds.author, {"form": form}),
        )
    ),
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
