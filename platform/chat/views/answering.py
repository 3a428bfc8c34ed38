"""How pages of the chat answer when an action refuses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from accounts.models import User
from chat import queries
from chat.errors import ChatError, GoneError, InvalidError, NotAllowedError
from chat.models import Message
from chat.rules import Access

View = Callable[..., HttpResponse]
LARGEST_ID = 2**63 - 1


def for_members(view: View) -> View:
    """Let people who are logged in use a page; a rule that forbids becomes a 403, what is gone a 404."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except NotAllowedError as error:
            raise PermissionDenied(str(error)) from error
        except GoneError as error:
            raise Http404(str(error)) from error

    return guarded


def member(request: HttpRequest) -> User:
    """Return who is logged in; for views under `for_members`."""
    return cast(User, request.user)


def entered(request: HttpRequest, slug: str) -> Access:
    """Return what the visitor may do in a room, or answer 404: to others it doesn't exist."""
    access = queries.room_visible_to(request.user, slug)
    if access is None:
        raise Http404(queries.NOT_FOUND)
    return access


def found_message(request: HttpRequest, slug: str, message_id: int) -> tuple[Access, Message]:
    """Return a message of a room that the visitor may enter, or answer 404."""
    access = entered(request, slug)
    message = queries.message_in(access.room, message_id) if message_id <= LARGEST_ID else None
    if message is None:
        raise Http404("There is no such message.")
    return access, message


@contextmanager
def told_on_page(request: HttpRequest, done: str) -> Iterator[None]:
    """Say on the next page that it's `done`, or what is wrong with what was asked."""
    try:
        yield
    except (NotAllowedError, GoneError):
        raise
    except ChatError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)


def number(text: str | None) -> int | None:
    """Return a whole number that a form or an address gives, or None."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def person(username: str) -> User:
    """Return somebody by their username.

    Raises:
        InvalidError: there is nobody of this name.
    """
    user = queries.users_named([username.strip()]).first()
    if user is None:
        raise InvalidError(f"There is nobody called “{username.strip()[:50]}”. Give a username.", field="username")
    return user
