"""How pages answer when an action refuses."""

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from accounts.models import User
from tasks.errors import NotAllowedError
from tasks.models import TaskRun
from tasks.queries import run_visible_to

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
        except TaskRun.DoesNotExist as error:  # deleted while we were at it
            raise Http404 from error

    return guarded


def member(request: HttpRequest) -> User:
    """Return who is logged in; for views under `for_members`."""
    return cast(User, request.user)


def visible_run(request: HttpRequest, run_id: uuid.UUID) -> TaskRun:
    """Return the run, or answer 404: to others it doesn't exist."""
    run = run_visible_to(request.user, run_id)
    if run is None:
        raise Http404("There is no such task, or it isn't yours to see.")
    return run
