"""One room: what is said there, and a look at what was."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from chat import actions, queries, showing
from chat.actions.messages import EMOJI
from chat.errors import ChatError, NotAllowedError
from chat.forms import MessageForm
from chat.listing import rooms_of, title_for
from chat.models import Message
from chat.rules import Access
from chat.views.answering import entered, for_members, member, number
from images.rules import can_upload


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def room_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a room's last messages, or those around `?before=` or `?after=`.

    A POST sends a message, or marks all as read, where scripts are off.
    """
    access = entered(request, slug)
    room = access.room
    form = MessageForm(request.POST if request.method == "POST" and "body" in request.POST else None)
    if request.method == "POST":
        if "read" in request.POST:
            actions.mark_read(room, number(request.POST["read"]) or 0, actor=member(request))
            return redirect("chat:room_list")
        if form.is_valid() and _send(request, access, form):
            return redirect(room)
    before, after = number(request.GET.get("before")), number(request.GET.get("after"))
    is_history = before is not None or after is not None
    messages = queries.messages_before(room, before) if after is None else queries.messages_after(room, after)
    context = {
        "room": room,
        "title": title_for(member(request), room),
        "access": access,
        "form": form,
        "shown": with_answered(messages),
        "is_history": is_history,
        "earlier": messages[0].sequence if messages and _are_earlier(messages) else None,
        "later": messages[-1].sequence if messages and is_history else None,
        "listing": rooms_of(member(request)),
        "can_upload": can_upload(member(request)),
    }
    if not is_history:
        context["data"] = _data(access, messages, has_earlier=context["earlier"] is not None)
    return render(request, "chat/room.html", context, status=400 if form.errors else 200)


def with_answered(messages: list[Message]) -> list[dict[str, Any]]:
    """Pair messages with those that they answer, as far as these are among them."""
    known = {message.pk: message for message in messages}
    return [{"message": message, "answered": known.get(message.reply_to_id or 0)} for message in messages]


def _send(request: HttpRequest, access: Access, form: MessageForm) -> bool:
    try:
        actions.send_message(access.room, actor=member(request), **form.cleaned_data)
    except NotAllowedError:
        raise
    except ChatError as error:
        form.add_error("body", str(error))
        return False
    return True


def _are_earlier(messages: list[Message]) -> bool:
    return messages[0].sequence > 1 and len(messages) == queries.PAGE_SIZE


def _data(access: Access, messages: list[Message], *, has_earlier: bool) -> dict[str, Any]:
    """Return what the page's scripts begin with; the number is older than the messages, so that nothing is missed."""
    user, room = access.user, access.room
    unread = queries.unread_in(user, room)
    return {
        "me": {"id": user.pk, "name": user.name, "username": user.username},
        "room": showing.room(room),
        "you": showing.you(access),
        "last_sequence": room.last_sequence,
        "messages": [showing.message(message) for message in messages],
        "pins": [showing.message(message) for message in queries.pins_of(room)],
        "has_earlier": has_earlier,
        "read": unread["read"],
        "unread": unread["unread"],
        "mentions": unread["mentions"],
        "signs": EMOJI,
    }
