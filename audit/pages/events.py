"""`/audit/events/<id>/`: one event with everything around it. `/audit/actors/<id>/`: what somebody did on a day."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from audit import recording
from audit.errors import CursorError
from audit.models import Event
from audit.pages.base import for_readers
from audit.reading import charts, filters, queries, showing
from audit.reading.access import Access
from audit.reading.cursors import Cursor, parse

_AROUND_LIMIT = 20
_DAY_LIMIT = 200
_TITLES = {
    "transaction": "In the same transaction",
    "request": "For the same request",
    "task": "In the same task",
}


@for_readers
def event(request: HttpRequest, access: Access, event_id: int) -> HttpResponse:
    """One event, with the other events of its transaction, request and task."""
    found = queries.event(event_id, filters.parse({}, access).conditions)
    recording.record("audit.ledger.read", target=("audit.event", str(event_id)))
    if found is None:
        raise Http404("There is no such event, or you may not see it.")
    around = [_around(found, name, asked, access) for name, asked in queries.around(found).items()]
    context = {"event": found, "access": access, "around": around, "context": showing.context(found, access)}
    return render(request, "audit/event.html", context)


def _around(event: Event, name: str, asked: dict[str, str], access: Access) -> dict[str, object]:
    others = queries.matching(filters.parse(asked, access), ~Q(id=event.pk), limit=_AROUND_LIMIT + 1)
    return {
        "title": _TITLES[name],
        "query": urlencode({**asked, "order": "oldest"}),
        "events": others[:_AROUND_LIMIT],
        "has_more": len(others) > _AROUND_LIMIT,
    }


@for_readers
def actor(request: HttpRequest, access: Access, actor_id: str) -> HttpResponse:
    """What somebody did on one day, in the order in which it happened, by hours."""
    day = _day(request.GET.get("day", ""))
    begin = datetime.combine(day, time(), UTC)
    asked = {"actor": actor_id, "since": begin.isoformat(), "until": (begin + timedelta(days=1)).isoformat()}
    # Word for word: an id is no list of ids.
    search = filters.parse({name: text for name, text in asked.items() if name != "actor"}, access)
    search = filters.Search(asked, search.conditions & Q(actor_id=actor_id), search.since, search.until)
    try:
        cursor = parse(request.GET["cursor"]) if request.GET.get("cursor") else Cursor("oldest")
        page = queries.page(search, cursor, limit=_DAY_LIMIT)
    except CursorError as error:
        raise Http404(str(error)) from error
    recording.record("audit.ledger.read", changes={"filters": asked, "events": len(page.events)})
    label = next((one.actor_label for one in page.events if one.actor_label), "")
    hours = Counter(dict(queries.by_hour(search)))
    counts = [(f"{hour:02}:00", hours[hour], f"#h{hour:02}") for hour in range(24)]
    context = {
        "access": access,
        "actor_id": actor_id,
        "label": label or actor_id,
        "day": day,
        "before": day - timedelta(days=1),
        "after": day + timedelta(days=1) if day < timezone.now().date() else None,
        "chart": charts.bars(counts),
        "hours": _by_hour(page.events),
        "next": urlencode({"day": day.isoformat(), "cursor": page.next}) if page.next else "",
        "query": urlencode(asked),
        "total": sum(hours.values()),
    }
    return render(request, "audit/actor.html", context)


def _by_hour(events: list[Event]) -> list[tuple[int, list[Event]]]:
    hours: dict[int, list[Event]] = {}
    for one in events:
        hours.setdefault(one.recorded_at.astimezone(UTC).hour, []).append(one)
    return list(hours.items())


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text) if text else timezone.now().astimezone(UTC).date()
    except ValueError as error:
        raise Http404("A day is written as 2026-03-01.") from error
