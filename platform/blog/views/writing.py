"""Pages for authors: write, change, publish, schedule, unpublish and delete posts. They work without JavaScript."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from blog import actions, queries, rules
from blog.errors import InvalidError
from blog.forms import PostForm
from blog.models import Post, Status
from blog.views.answering import for_members, member, visible_post


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def new_post(request: HttpRequest) -> HttpResponse:
    """Write a new post; "Publish" publishes it at once, "Schedule" at its time."""
    rules.require(rules.can_write_posts, request.user, None, action="create_post")
    can_publish = rules.can_publish_post(request.user, Post(author=member(request)))
    form = PostForm(request.POST or None, can_schedule=can_publish)
    if request.method == "POST" and form.is_valid():
        try:
            post = _save(request, form)
        except InvalidError as error:
            form.add_invalid(error)
        else:
            return redirect(post)
    return _editor(request, form)


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def edit_post(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a post."""
    post = visible_post(request, slug)
    rules.require(rules.can_edit_post, request.user, post, action="update_post")
    values = {
        "title": post.title,
        "description": post.description,
        "body": post.body_markdown,
        "category": post.category.slug if post.category else "",
        "slug": post.slug,
        "tags": ", ".join(tag.name for tag in post.tags.all()),
        "publish_at": post.publish_at,
    }
    can_schedule = post.status in (Status.DRAFT, Status.SCHEDULED) and rules.can_publish_post(request.user, post)
    form = PostForm(request.POST or None, initial=values, is_new=False, can_schedule=can_schedule)
    if request.method == "POST" and form.is_valid():
        try:
            post = _save(request, form, post)
        except InvalidError as error:
            form.add_invalid(error)
        else:
            return redirect(post)
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
def unschedule_post(request: HttpRequest, slug: str) -> HttpResponse:
    """Take a scheduled post back to a draft."""
    post = actions.unschedule_post(visible_post(request, slug), actor=member(request))
    messages.success(request, "It's a draft again, and no longer scheduled.")
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


def _save(request: HttpRequest, form: PostForm, post: Post | None = None) -> Post:
    """Save what was typed and do what the button says: both, or nothing."""
    actor = member(request)
    values = {name: value for name, value in form.cleaned_data.items() if name in request.POST}  # the rest stays
    publish_at = values.pop("publish_at", None)
    with transaction.atomic():
        post = actions.update_post(post, actor=actor, **values) if post else actions.create_post(actor=actor, **values)
        if "publish" in request.POST and not post.is_published:
            post, said = actions.publish_post(post, actor=actor), "Published. Everybody can read it now."
        elif "schedule" in request.POST and not post.is_published:
            post = actions.schedule_post(post, actor=actor, publish_at=publish_at)
            said = _scheduled(post)
        elif "review" in request.POST and post.status == Status.DRAFT:
            post, said = actions.request_review(post, actor=actor), "Saved. It waits for its review now."
        elif "draft" in request.POST and post.is_scheduled:
            post, said = actions.unschedule_post(post, actor=actor), "Saved as a draft. It's no longer scheduled."
        else:
            said = "Saved as a draft." if post.status == Status.DRAFT else "Saved."
    messages.success(request, said)
    return post


def _scheduled(post: Post) -> str:
    return f"Scheduled. It publishes itself on {post.publish_at:%-d %B %Y at %H:%M} UTC."


def _editor(request: HttpRequest, form: PostForm, post: Post | None = None) -> HttpResponse:
    status = 400 if form.errors else 200
    return render(request, "blog/edit.html", {"form": form, "post": post}, status=status)
