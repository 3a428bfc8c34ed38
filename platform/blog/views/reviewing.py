"""Pages for the review of a post before it's published."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from blog import actions, queries, rules
from blog.errors import ConflictError, InvalidError
from blog.forms import ReviewForm
from blog.models import Post
from blog.views.answering import for_members, member, visible_post
from blog.views.reading import post_page


@require_POST
@for_members
def request_review(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a draft to be reviewed."""
    post = visible_post(request, slug)
    try:
        post = actions.request_review(post, actor=member(request))
    except InvalidError as error:
        messages.error(request, error.messages["status"])
    else:
        messages.success(request, "It waits for its review now. You'll be notified of what comes of it.")
    return redirect(post)


@require_POST
@for_members
def withdraw_review(request: HttpRequest, slug: str) -> HttpResponse:
    """Take a post that waits for its review back to a draft."""
    post = actions.withdraw_review(visible_post(request, slug), actor=member(request))
    messages.success(request, "It's a draft again.")
    return redirect(post)


@require_POST
@for_members
def review(request: HttpRequest, slug: str) -> HttpResponse:
    """Approve a post, now or for a time, or send it back."""
    post = visible_post(request, slug)
    rules.require(rules.can_review_post, request.user, post, action="approve_post")
    form = ReviewForm(request.POST)
    if form.is_valid():
        try:
            post, said = _decide(request, post, form)
        except (ConflictError, InvalidError) as error:
            form.add_invalid(error)
        else:
            messages.success(request, said)
            is_still_visible = queries.posts_visible_to(request.user).filter(pk=post.pk).exists()
            return redirect(post if is_still_visible else "blog:drafts")
    return post_page(request, post, review_form=form)


def _decide(request: HttpRequest, post: Post, form: ReviewForm) -> tuple[Post, str]:
    values, actor = form.cleaned_data, member(request)
    if "send_back" in request.POST:
        post = actions.send_back_post(post, actor=actor, note=values["note"])
        return post, f"“{post.title}” went back to its authors."
    publish_at = values["publish_at"] if "schedule" in request.POST else None
    post = actions.approve_post(post, actor=actor, version=values["version"], publish_at=publish_at)
    if post.publish_at:
        return post, f"Approved. It publishes itself on {post.publish_at:%-d %B %Y at %H:%M} UTC."
    return post, "Approved and published. Everybody can read it now."
