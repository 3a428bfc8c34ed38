"""The pages around rooms: the list of them, a new one, a conversation with somebody, and the search."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from chat import actions, queries, rules
from chat.errors import ChatError, NotAllowedError
from chat.forms import RoomForm
from chat.listing import rooms_of
from chat.models import ReportState, RoomKind
from chat.views.answering import entered, for_members, member, number, person

_LONGEST_SEARCH = 200


@require_safe
@for_members
def room_list(request: HttpRequest) -> HttpResponse:
    """Show the rooms that the visitor may enter."""
    return _list(request)


def _list(request: HttpRequest, *, username: str = "", problem: str = "") -> HttpResponse:
    context = {
        "listing": rooms_of(member(request)),
        "is_moderator": rules.is_site_moderator(request.user),
        "open_reports": queries.reports_visible_to(request.user).filter(state=ReportState.OPEN).count(),
        "username": username,
        "problem": problem,
    }
    return render(request, "chat/room_list.html", context, status=400 if problem else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@for_members
def new_room(request: HttpRequest) -> HttpResponse:
    """Open a room."""
    can_open_public = rules.can_open_room(request.user, RoomKind.PUBLIC)
    form = RoomForm(request.POST or None, kinds=["private", "public"] if can_open_public else ["private"])
    if request.method == "POST" and form.is_valid():
        try:
            room = actions.create_room(actor=member(request), **form.cleaned_data)
        except NotAllowedError:
            raise
        except ChatError as error:
            field = getattr(error, "field", "slug")
            form.add_error(field if field in form.fields else None, str(error))
        else:
            return redirect(room)
    return render(request, "chat/new_room.html", {"form": form}, status=400 if form.errors else 200)


@require_POST
@for_members
def open_direct(request: HttpRequest) -> HttpResponse:
    """Lead to the conversation with somebody."""
    username = request.POST.get("username", "")
    try:
        return redirect(actions.open_direct(person(username), actor=member(request)))
    except NotAllowedError:
        raise
    except ChatError as error:
        return _list(request, username=username, problem=str(error))


@require_safe
@for_members
def search(request: HttpRequest) -> HttpResponse:
    """Find messages by their words; `?room=` looks in one room alone."""
    words = request.GET.get("q", "").replace("\x00", "").strip()[:_LONGEST_SEARCH]
    slug = request.GET.get("room", "")
    room = entered(request, slug).room if slug else None
    before = number(request.GET.get("before"))
    found = queries.search_messages(request.user, words, room=room, before=before) if words else []
    context = {
        "words": words,
        "room": room,
        "found": found,
        "next": found[-1].pk if len(found) == queries.PAGE_SIZE else None,
        "is_later_page": before is not None,
    }
    return render(request, "chat/search.html", context)
