"""Pages of the chat: the rooms, and one room."""

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import User
from chat import actions, queries
from chat.errors import ChatError
from chat.forms import MessageForm


@require_safe
@login_required
def room_list(request: HttpRequest) -> HttpResponse:
    """Show the rooms that the visitor may enter."""
    return render(request, "chat/room_list.html", {"rooms": queries.rooms_visible_to(request.user)})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def room_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a room's last messages, or those ahead of `?before=`; a POST sends one, where scripts are off."""
    user = cast(User, request.user)
    access = queries.room_visible_to(user, slug)
    if access is None:
        raise Http404(queries.NOT_FOUND)
    room = access.room
    form = MessageForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actions.send_message(room, actor=user, body=form.cleaned_data["body"])
        except ChatError as error:
            form.add_error("body", str(error))
        else:
            return redirect("chat:room", slug=room.slug)
    before = _number(request.GET.get("before", ""))
    messages = queries.messages_before(room, before)
    context = {
        "room": room,
        "access": access,
        "form": form,
        "chat_messages": messages,
        "is_history": before is not None,
        # Read before the messages were: what happened in between is told as an event as well.
        "last_sequence": room.last_sequence,
        "earlier": messages[0].sequence if messages and messages[0].sequence > 1 else None,
    }
    return render(request, "chat/room.html", context, status=400 if form.errors else 200)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
