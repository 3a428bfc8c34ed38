"""What the editor's script asks for while somebody types: answers in JSON. The form works without."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from blog import actions, queries, rules
from blog.actions.autosaving import FIELDS
from blog.editing import note_editing, stop_editing
from blog.errors import ConflictError, InvalidError
from blog.markdown import render_post
from blog.models import Post
from blog.views.answering import for_members, member, visible_post


@require_POST
@for_members
def autosave(request: HttpRequest, slug: str = "") -> HttpResponse:
    """Keep what was typed; a draft's answer has its new version."""
    post = visible_post(request, slug) if slug else None
    typed = {name: request.POST[name] for name in FIELDS if name in request.POST}
    try:
        saved = actions.autosave(post, typed, actor=member(request), version=request.POST.get("version", ""))
    except ConflictError as error:
        return JsonResponse({"detail": str(error)}, status=409)
    except InvalidError as error:
        return JsonResponse({"detail": str(error)}, status=400)
    answer: dict[str, Any] = {"is_saved": saved is not None, "at": timezone.now()}
    return JsonResponse(answer | ({"version": saved.version} if saved else {}))


@require_POST
@for_members
def discard(request: HttpRequest, slug: str = "") -> HttpResponse:
    """Throw away what was typed and not saved."""
    post = visible_post(request, slug) if slug else None
    actions.discard_pending_copy(post, actor=member(request))
    return redirect("blog:edit_post", slug) if slug else redirect("blog:new_post")


@require_POST
@for_members
def preview(request: HttpRequest, slug: str = "") -> HttpResponse:
    """Show the text as readers would see it: as a page, or for the script as a piece of one."""
    post = visible_post(request, slug) if slug else None
    if post:
        rules.require(rules.can_edit_post, request.user, post, action="preview_post")
    else:
        rules.require(rules.can_write_posts, request.user, None, action="preview_post")
    try:
        html = render_post(request.POST.get("body", ""), queries.pictures_of(post) if post else {})
    except InvalidError as error:
        html, refused = "", error.messages.get("body", str(error))
    else:
        refused = ""
    if "text/html" not in request.headers.get("Accept", ""):
        return JsonResponse({"html": html, "refused": refused})
    context = {"title": request.POST.get("title", ""), "html": html, "refused": refused}
    return render(request, "blog/preview.html", context, status=400 if refused else 200)


@require_POST
@for_members
def editing(request: HttpRequest, slug: str) -> HttpResponse:
    """Note that the editor is open, or was left; say who else has it open, and which version the post is."""
    post: Post = visible_post(request, slug)
    rules.require(rules.can_edit_post, request.user, post, action="update_post")
    if "leave" in request.POST:
        stop_editing(post, member(request))
        return HttpResponse(status=204)
    others = [user.name for user in note_editing(post, member(request))]
    return JsonResponse({"others": others, "version": post.version})
