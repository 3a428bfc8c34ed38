"""What there is to know of a room, and to change: its words, its people, who is muted or banned, its end."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from chat import actions, queries
from chat.errors import InvalidError
from chat.listing import title_for
from chat.models import Restriction, Role
from chat.rules import Access
from chat.views.answering import entered, for_members, member, number, person, told_on_page

_MOST_RESTRICTIONS = 100


@require_safe
@for_members
def about_room(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a room's topic, members and roles; to those in charge, what they can change."""
    access = entered(request, slug)
    context = {
        "room": access.room,
        "title": title_for(member(request), access.room),
        "access": access,
        "members": queries.members_of(access.room),
        "roles": Role.choices,
        "restrictions": queries.restrictions_visible_to(access, request.user)[:_MOST_RESTRICTIONS],
        "now": queries.now(),
        "pins": queries.pins_of(access.room),
    }
    return render(request, "chat/about.html", context)


@require_POST
@for_members
def change_room(request: HttpRequest, slug: str) -> HttpResponse:
    """Do one thing to a room or its people: the button's name says which, and its fields with whom."""
    access = entered(request, slug)
    act = _CHANGES.get(request.POST.get("do", ""))
    done = ""
    with told_on_page(request, "Saved."):
        if act is None:
            raise InvalidError("There is no such change.")
        done = act(request, access, member(request)) or ""
    # Who left a private room can't be shown it.
    return redirect("chat:room_list") if done == "left" else redirect("chat:about", slug=slug)


def _describe(request: HttpRequest, access: Access, actor: User) -> None:
    name, topic = request.POST.get("name", ""), request.POST.get("topic", "")
    actions.describe_room(access.room, actor=actor, name=name, topic=topic)


def _archive(request: HttpRequest, access: Access, actor: User) -> None:
    actions.archive_room(access.room, actor=actor, is_archived=not access.room.is_archived)


def _join(request: HttpRequest, access: Access, actor: User) -> None:
    actions.join_room(access.room, actor=actor)


def _leave(request: HttpRequest, access: Access, actor: User) -> str:
    actions.remove_member(access.room, actor, actor=actor)
    return "left"


def _bring(request: HttpRequest, access: Access, actor: User) -> None:
    actions.add_member(access.room, person(request.POST.get("username", "")), actor=actor)


def _change_role(request: HttpRequest, access: Access, actor: User) -> None:
    actions.change_role(access.room, _someone(request, access), actor=actor, role=request.POST.get("role", ""))


def _remove(request: HttpRequest, access: Access, actor: User) -> None:
    actions.remove_member(access.room, _someone(request, access), actor=actor)


def _restrict(request: HttpRequest, access: Access, actor: User) -> None:
    impose(request, access, actor)


def _lift(request: HttpRequest, access: Access, actor: User) -> None:
    found = Restriction.objects.filter(pk=number(request.POST.get("restriction")) or 0, room=access.room).first()
    if found is None:
        raise InvalidError("There is no such mute or ban here.")
    actions.lift(found, actor=actor)


def impose(request: HttpRequest, access: Access | None, actor: User) -> None:
    """Mute or ban whom the form names, in the room or in all."""
    minutes = request.POST.get("minutes", "").strip()
    if minutes and number(minutes) is None:
        raise InvalidError("Give the minutes as a whole number, or leave them out for no end.", field="minutes")
    actions.restrict(
        person(request.POST.get("username", "")),
        room=access.room if access else None,
        kind=request.POST.get("kind", ""),
        reason=request.POST.get("reason", ""),
        actor=actor,
        minutes=number(minutes),
    )


def _someone(request: HttpRequest, access: Access) -> User:
    found = queries.members_of(access.room).filter(user_id=number(request.POST.get("user")) or 0).first()
    if found is None:
        raise InvalidError("There is no such member of this room.", field="user")
    return found.user


_CHANGES = {
    "describe": _describe,
    "archive": _archive,
    "join": _join,
    "leave": _leave,
    "bring": _bring,
    "role": _change_role,
    "remove": _remove,
    "restrict": _restrict,
    "lift": _lift,
}
