"""Pages for authors: write, change, publish, schedule, unpublish and delete posts. They work without JavaScript."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from blog import actions, queries, rules
from blog.actions.autosaving import FIELDS
from blog.editing import BEAT_SECONDS, note_editing
from blog.errors import ConflictError, InvalidError
from blog.forms import PostForm
from blog.models import PendingCopy, Post, Status
from blog.views.answering import for_members, member, visible_post
from blog.views.conflicts import Conflict, conflict_with


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def new_post(request: HttpRequest) -> HttpResponse:
    """Write a new post; "Publish" publishes it at once, "Schedule" at its time."""
    rules.require(rules.can_write_posts, request.user, None, action="create_post")
    return _editor(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def edit_post(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a post."""
    post = visible_post(request, slug)
    rules.require(rules.can_edit_post, request.user, post, action="update_post")
    return _editor(request, post)


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


def _editor(request: HttpRequest, post: Post | None) -> HttpResponse:
    """Show the editor, or save what it sends; where that's refused, show what was typed and why."""
    pending = queries.pending_copy_of(post, member(request))
    can_schedule = rules.can_publish_post(request.user, post or Post(author=member(request)))
    can_schedule = can_schedule and (post is None or post.status in (Status.DRAFT, Status.SCHEDULED))
    values = {**(_values_of(post) if post else {}), **(_typed(pending) if "pending" in request.GET and pending else {})}
    form = PostForm(request.POST or None, initial=values, is_new=post is None, can_schedule=can_schedule)
    conflict: Conflict | None = None
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(_save(request, form, post))
        except InvalidError as error:
            form.add_invalid(error)
        except ConflictError as error:
            post = Post.objects.select_related("category").get(pk=post.pk) if post else None
            if post:  # and if they leave the page now, it waits for them
                typed = {name: request.POST.get(name, "") for name in FIELDS}
                actions.keep_copy(post, typed, actor=member(request), version=request.POST.get("version", ""))
                conflict = conflict_with(post, form)
            form.add_invalid(error)
    context = {
        "form": form,
        "post": post,
        "conflict": conflict,
        "pending": pending if "pending" not in request.GET and request.method != "POST" else None,
        "others": note_editing(post, member(request)) if post else [],
        "beat_seconds": BEAT_SECONDS,
    }
    return render(request, "blog/edit.html", context, status=409 if conflict else 400 if form.errors else 200)


def _values_of(post: Post) -> dict[str, Any]:
    return {
        "title": post.title,
        "description": post.description,
        "body": post.body_markdown,
        "category": post.category.slug if post.category else "",
        "slug": post.slug,
        "tags": ", ".join(tag.name for tag in post.tags.all()),
        "publish_at": post.publish_at,
        "version": post.version,
    }


def _typed(pending: PendingCopy) -> dict[str, Any]:
    return {name: getattr(pending, name) for name in (*FIELDS, "version")}


def _save(request: HttpRequest, form: PostForm, post: Post | None = None) -> Post:
    """Save what was typed and do what the button says: both, or nothing."""
    actor = member(request)
    values = {name: value for name, value in form.cleaned_data.items() if name in request.POST}  # the rest stays
    publish_at = values.pop("publish_at", None)
    version = values.pop("version", None)
    with transaction.atomic():
        if post is None:
            actions.discard_pending_copy(None, actor=actor)
            post = actions.create_post(actor=actor, **values)
        else:
            post = actions.update_post(post, actor=actor, version=version, **values)
        actions.discard_pending_copy(post, actor=actor)
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
