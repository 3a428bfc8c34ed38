"""How pages answer when an action refuses."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from accounts.models import User
from blog import queries
from blog.errors import NotAllowedError
from blog.models import Comment, Post

View = Callable[..., HttpResponse]


def for_members(view: View) -> View:
    """Let people who are logged in use a page; a rule that forbids becomes a 403, what is gone a 404."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except NotAllowedError as error:
            raise PermissionDenied(str(error)) from error
        except (Post.DoesNotExist, Comment.DoesNotExist) as error:  # deleted while we were at it
            raise Http404 from error

    return guarded


def member(request: HttpRequest) -> User:
    """Return who is logged in; for views under `for_members`."""
    return cast(User, request.user)


def visible_post(request: HttpRequest, slug: str) -> Post:
    """Return the post, or answer 404: to those who may not see it, a draft doesn't exist."""
    return get_object_or_404(queries.posts_visible_to(request.user), slug=slug)


def visible_comment(request: HttpRequest, pk: int) -> Comment:
    """Return the comment, or answer 404 where its post isn't for this visitor."""
    return get_object_or_404(queries.comments_visible_to(request.user), pk=pk)
