"""Pages of pictures: upload, see how it goes, describe, delete. They work without scripts too."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import User
from images import actions, limits, queries, rules
from images.errors import NoRoomError, NotAllowedError, RefusedError
from images.models import STEPS, Picture


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def picture_list(request: HttpRequest) -> HttpResponse:
    """Show the visitor's pictures; a POST uploads what is in its field `file`."""
    if request.method == "POST":
        return _upload(request)
    return _list(request)


@require_safe
@login_required
def picture(request: HttpRequest, picture_id: int) -> HttpResponse:
    """Show one picture, and how far it is."""
    return render(request, "images/picture.html", _context(_picture(request, picture_id)))


@require_safe
@login_required
def card(request: HttpRequest, picture_id: int) -> HttpResponse:
    """Return what the list shows of a picture, for a page that is open."""
    return render(request, "images/_card.html", _context(_picture(request, picture_id)))


@require_http_methods(["POST"])
@login_required
def describe_picture(request: HttpRequest, picture_id: int) -> HttpResponse:
    """Change a picture's description."""
    found = _picture(request, picture_id)
    try:
        actions.describe_picture(found, actor=_member(request), alt=request.POST.get("alt", ""))
    except NotAllowedError as error:
        raise PermissionDenied(str(error)) from error
    except RefusedError as error:
        return render(request, "images/picture.html", {**_context(found), "alt_error": str(error)}, status=400)
    messages.success(request, "The description is saved.")
    return redirect(found)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def delete_picture(request: HttpRequest, picture_id: int) -> HttpResponse:
    """Ask once more, then delete a picture."""
    found = _picture(request, picture_id)
    if request.method == "POST":
        try:
            actions.delete_picture(found, actor=_member(request))
        except NotAllowedError as error:
            raise PermissionDenied(str(error)) from error
        messages.success(request, f"“{found.name}” is deleted.")
        return redirect("images:list")
    return render(request, "images/confirm_delete.html", _context(found))


def _upload(request: HttpRequest) -> HttpResponse:
    errors: list[tuple[str, str]] = []
    stored: list[Picture] = []
    status = 400
    for file in request.FILES.getlist("file"):
        try:
            stored.append(actions.upload_picture(file, actor=_member(request), alt=request.POST.get("alt", "")))
        except NotAllowedError as error:
            raise PermissionDenied(str(error)) from error
        except RefusedError as error:
            errors.append((str(file.name) if error.field == "file" else "The description", str(error)))
        except NoRoomError as error:
            errors.append((str(file.name), str(error)))
            status = 507
    if not stored and not errors:
        errors.append(("No file", "choose one first"))
    if errors:
        return _list(request, errors, status)
    return redirect(stored[0]) if len(stored) == 1 else redirect("images:list")


def _list(request: HttpRequest, errors: list[tuple[str, str]] | None = None, status: int = 200) -> HttpResponse:
    page = Paginator(queries.pictures_of(request.user), limits.PICTURES_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "errors": errors or [],
        "alt": request.POST.get("alt", ""),
        "can_upload": rules.can_upload(request.user),
        "is_busy": any(not shown.is_finished for shown in page),
        "limits": limits,
        "megabytes": limits.IMAGE_BYTES // 1_000_000,
        "suffixes": ",".join(limits.SUFFIX_FORMATS),
        "steps": STEPS,
    }
    return render(request, "images/picture_list.html", context, status=status)


def _context(found: Picture) -> dict[str, Any]:
    return {"picture": found, "steps": STEPS, "is_busy": not found.is_finished}


def _picture(request: HttpRequest, picture_id: int) -> Picture:
    found = queries.picture_visible_to(request.user, picture_id)
    if found is None:
        raise Http404("You have no such picture.")
    return found


def _member(request: HttpRequest) -> User:
    return cast(User, request.user)
