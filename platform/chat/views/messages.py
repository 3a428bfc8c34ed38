"""One message's page: its address for others, and all that one can do with it without scripts."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from chat import actions, queries
from chat.actions.messages import EMOJI
from chat.errors import InvalidError
from chat.history import versions_of
from chat.listing import title_for
from chat.models import Message
from chat.views.answering import for_members, found_message, member, told_on_page


@require_safe
@for_members
def message_page(request: HttpRequest, slug: str, message_id: int) -> HttpResponse:
    """Show a message, what it said before to those who may know, and what can be done with it."""
    access, message = found_message(request, slug, message_id)
    context = {
        "room": access.room,
        "title": title_for(member(request), access.room),
        "access": access,
        "message": message,
        "answered": queries.message_in(access.room, message.reply_to_id) if message.reply_to_id else None,
        "can_edit": access.can_edit(message, queries.now()),
        "can_delete": access.can_delete(message),
        "can_report": message.author_id != member(request).pk and not message.is_deleted,
        "versions": versions_of(message) if access.can_see_history(message) else [],
        "signs": EMOJI,
        "mine": {one.emoji for one in message.reactions.all() if one.user_id == member(request).pk},
        # The room's messages up to this one.
        "in_its_place": message.sequence + 1,
    }
    return render(request, "chat/message.html", context)


@require_POST
@for_members
def change_message(request: HttpRequest, slug: str, message_id: int) -> HttpResponse:
    """Do one thing to a message: the field `do` says which."""
    _, message = found_message(request, slug, message_id)
    actor, do = member(request), request.POST.get("do", "")
    done = "Thank you: the moderators look at it." if do == "report" else "Saved."
    with told_on_page(request, done):
        _change(request, message, actor, do)
    return redirect("chat:message", slug=slug, message_id=message_id)


def _change(request: HttpRequest, message: Message, actor: User, do: str) -> None:
    if do == "edit":
        actions.edit_message(message, actor=actor, body=request.POST.get("body", ""))
    elif do == "delete":
        actions.delete_message(message, actor=actor)
    elif do == "pin":
        actions.pin(message, actor=actor, is_on=message.pinned_at is None)
    elif do == "report":
        actions.report_message(message, actor=actor, reason=request.POST.get("reason", ""))
    elif do == "react":
        sign = request.POST.get("sign", "")
        is_mine = message.reactions.filter(user=actor, emoji=sign).exists()
        actions.react(message, actor=actor, emoji=sign, is_on=not is_mine)
    elif do == "reply":
        actions.send_message(message.room, actor=actor, body=request.POST.get("body", ""), reply_to=message.pk)
    else:
        raise InvalidError("There is no such change.")
