"""Pages for authors: write, change, publish, unpublish and delete posts. They work without JavaScript."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from blog import actions, queries, rules
from blog.errors import InvalidError
from blog.forms import PostForm
from blog.models import Post
from blog.views.answering import for_members, member, visible_post


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def new_post(request: HttpRequest) -> HttpResponse:
    """Write a new post; "Publish" publishes it at once."""
    rules.require(rules.can_write_posts, request.user, None, action="create_post")
    form = PostForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            post = actions.create_post(actor=member(request), **form.cleaned_data)
        except InvalidError as error:
            form.add_invalid(error)
        else:
            return _saved(request, post)
    return _editor(request, form)


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def edit_post(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a post."""
    post = visible_post(request, slug)
    rules.require(rules.can_edit_post, request.user, post, action="update_post")
    values = {"title": post.title, "description": post.description, "body": post.body_markdown}
    form = PostForm(request.POST or None, initial=values)
    if request.method == "POST" and form.is_valid():
        try:
            post = actions.update_post(post, actor=member(request), **form.cleaned_data)
        except InvalidError as error:
            form.add_invalid(error)
        else:
            return _saved(request, post)
    return _editor(request, form, post)


@require_POST
@for_members
def publish_post(request: HttpRequest, slug: str) -> HttpResponse:
    """Publish a draft."""
    post = actions.publish_post(visible_post(request, slug), actor=member(request))
    messages.success(request, "Published. Everybody can read it now.")
    return redirect(post)


@require_POST
@for_members
def unpublish_post(request: HttpRequest, slug: str) -> HttpResponse:
    """Take a post back to a draft."""
    post = actions.unpublish_post(visible_post(request, slug), actor=member(request))
    messages.success(request, f"“{post.title}” is a draft again; only those who write it see it.")
    is_still_visible = queries.posts_visible_to(request.user).filter(pk=post.pk).exists()
    return redirect(post if is_still_visible else "blog:archive")


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def delete_post(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask once more, then delete a post."""
    post = visible_post(request, slug)
    rules.require(rules.can_edit_post, request.user, post, action="delete_post")
    if request.method == "POST":
        actions.delete_post(post, actor=member(request))
        messages.success(request, f"“{post.title}” is deleted.")
        return redirect("blog:archive")
    return render(request, "blog/confirm_delete.html", {"post": post, "comment_count": post.comments.count()})


def _saved(request: HttpRequest, post: Post) -> HttpResponse:
    if "publish" in request.POST and not post.is_published:
        post = actions.publish_post(post, actor=member(request))
        messages.success(request, "Published. Everybody can read it now.")
    else:
        messages.success(request, "Saved." if post.is_published else "Saved as a draft.")
    return redirect(post)


def _editor(request: HttpRequest, form: PostForm, post: Post | None = None) -> HttpResponse:
    status = 400 if form.errors else 200
    return render(request, "blog/edit.html", {"form": form, "post": post}, status=status)
