"""What a post said before, for those who make it: each change, any version, and the way back to it."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from audit.errors import CursorError
from blog import actions, limits, queries, revisions, rules
from blog.errors import ConflictError, InvalidError
from blog.markdown import render_post
from blog.views.answering import for_members, member, visible_post


@require_safe
@for_members
def history(request: HttpRequest, slug: str) -> HttpResponse:
    """List a post's changes, newest first."""
    post = visible_post(request, slug)
    rules.require(rules.can_see_history, request.user, post, action="see_history")
    try:
        found, more = revisions.revisions_of(post, before=request.GET.get("before", ""))
    except CursorError as error:
        raise Http404 from error
    context = {"post": post, "revisions": found, "more": more, "is_continued": "before" in request.GET}
    return render(request, "blog/history.html", context)


@require_safe
@for_members
def revision(request: HttpRequest, slug: str, event_id: int) -> HttpResponse:
    """Show a post as it was after a change."""
    post = visible_post(request, slug)
    rules.require(rules.can_see_history, request.user, post, action="see_history")
    was, tags = revisions.text_at(post, event_id)
    try:
        html, refused = render_post(was.body_markdown, queries.pictures_of(post)), ""
    except InvalidError as error:
        html, refused = "", str(error)
    context = {
        "post": post,
        "was": was,
        "tags": tags,
        "html": html,
        "refused": refused,
        "event_id": event_id,
        "can_restore": rules.can_edit_post(request.user, post),
        "reason_characters": limits.REASON_CHARACTERS,
    }
    return render(request, "blog/revision.html", context)


@require_POST
@for_members
def restore(request: HttpRequest, slug: str, event_id: int) -> HttpResponse:
    """Let the post say again what it said after a change."""
    post = visible_post(request, slug)
    version = request.POST.get("version")
    reason = " ".join(request.POST.get("reason", "").split())[: limits.REASON_CHARACTERS]
    try:
        post = actions.restore_revision(post, event_id, actor=member(request), version=version, reason=reason)
    except (ConflictError, InvalidError) as error:
        messages.error(request, str(error))
        return redirect("blog:history", slug)
    messages.success(request, "Restored. What it said until now is in the history as well.")
    return redirect(post)
