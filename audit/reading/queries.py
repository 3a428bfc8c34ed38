"""Reads of the ledger."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from django.db import OperationalError, connections, transaction
from django.db.models import Count, DateTimeField, ExpressionWrapper, F, Q, QuerySet
from django.db.models.functions import ExtractHour, TruncDay
from django.utils import timezone
from psycopg import errors

from audit import conf
from audit.errors import SearchTooLongError
from audit.models import Event
from audit.reading import cursors
from audit.reading.cursors import Cursor
from audit.reading.filters import Search

Facet = Literal["day", "actor", "action", "object_type", "outcome"]
FACETS: tuple[Facet, ...] = ("day", "actor", "action", "object_type", "outcome")

_COUNTED_EXACTLY = 1_000
_FACET_VALUES = 20
_FACET_DAYS = timedelta(days=30)
_FEW = frozenset({"request", "trace", "task", "transaction"})  # filters that few events of the ledger fulfil
_COLUMNS = {"actor": ("actor_id", "actor_label"), "action": ("action",), "object_type": ("object_type",)} | {
    "outcome": ("outcome",)
}


@dataclass(frozen=True, slots=True)
class Page:
    """Some events of a search. `next` is where more are; `resume` is where what comes later will be."""

    events: list[Event]
    next: Cursor | None
    resume: Cursor


@dataclass(frozen=True, slots=True)
class Total:
    """How many events a search finds: exactly, or the database's estimate."""

    count: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Counted:
    """One value of a facet, as the filter of its name takes it, and how many events have it."""

    value: str
    label: str
    count: int


def page(search: Search, cursor: Cursor, *, limit: int, using: str = "default", seconds: int | None = None) -> Page:
    """Return the next `limit` events of `search` behind `cursor`, in the cursor's order: by time, then by id.

    Raises:
        CursorError: the cursor is of another database.
        SearchTooLongError: the search took longer than `seconds`, by default `AUDIT_SEARCH_SECONDS`.
    """
    cursor = cursors.begun(cursor, using=using)
    with within_time(using, seconds):
        matching = Event.objects.using(using).filter(search.conditions)
        found = list(ordered(matching, cursor, are_few=not _FEW.isdisjoint(search.given))[: limit + 1])
    events = found[:limit]
    behind = replace(cursor, position=(events[-1].recorded_at, events[-1].pk)) if len(found) > limit else None
    return Page(events, behind, Cursor("oldest", cursor.database, seen=cursor.snapshot))


def ordered(events: QuerySet[Event], cursor: Cursor, *, are_few: bool = False) -> QuerySet[Event]:
    """Return those of `events` that are behind `cursor`, in its order.

    `are_few` has the database find them all and sort them. Otherwise it may go through all events in their order until
    it has enough, as its statistics of such a value are often wrong: it then reads the whole ledger for three events.
    """
    # No index is in the order of an expression.
    time = ExpressionWrapper(F("recorded_at") + timedelta(0), DateTimeField()) if are_few else F("recorded_at")
    order = (time.desc(), F("id").desc()) if cursor.order == "newest" else (time.asc(), F("id").asc())
    return events.filter(cursors.condition(cursor)).order_by(*order)


def total(search: Search, *, using: str = "default") -> Total:
    """Return how many events `search` finds: exactly up to a bound, then as the database's planner estimates.

    Raises:
        SearchTooLongError: see `page`.
    """
    found = Event.objects.using(using).filter(search.conditions)
    with within_time(using):
        count = found.order_by()[: _COUNTED_EXACTLY + 1].count()
    if count <= _COUNTED_EXACTLY:
        return Total(count, is_exact=True)
    plan = json.loads(found.order_by().explain(format="json"))
    return Total(max(int(plan[0]["Plan"]["Plan Rows"]), count), is_exact=False)


def facet(search: Search, by: Facet, *, using: str = "default") -> list[Counted]:
    """Return the most frequent values of `by` among what `search` finds, or each of its days in turn.

    Where the search has no `since`, it's 30 days before its end.

    Raises:
        SearchTooLongError: see `page`.
    """
    found = Event.objects.using(using).filter(bounded(search).conditions).order_by()
    with within_time(using):
        if by == "day":
            days = found.annotate(day=TruncDay("recorded_at", tzinfo=UTC))
            rows = days.values_list("day").annotate(count=Count("*")).order_by("day")
            return [Counted(day.date().isoformat(), day.date().isoformat(), count) for day, count in rows]
        columns = _COLUMNS[by]
        # By the id alone: a label is looked up once the ids are few.
        values = list(found.values_list(columns[0]).annotate(count=Count("*")).order_by("-count")[:_FACET_VALUES])
        labels = _labels(found, [value for value, _ in values]) if by == "actor" else {}
    return [Counted(value or "", labels.get(value) or value or "", count) for value, count in values]


def by_hour(search: Search, *, using: str = "default") -> list[tuple[int, int]]:
    """Return how many events of a search fall into each hour of the day (UTC), where there are any.

    Raises:
        SearchTooLongError: see `page`.
    """
    found = Event.objects.using(using).filter(search.conditions).order_by()
    with within_time(using):
        hours = found.annotate(hour=ExtractHour("recorded_at", tzinfo=UTC))
        return list(hours.values_list("hour").annotate(count=Count("*")).order_by("hour"))


def bounded(search: Search) -> Search:
    """Return `search` with a beginning: 30 days before its end where it has none."""
    if search.since:
        return search
    since = (search.until or timezone.now()) - _FACET_DAYS
    return replace(search, since=since, conditions=search.conditions & Q(recorded_at__gte=since))


def _labels(found: QuerySet[Event], actor_ids: list[str]) -> dict[str, str]:
    # Any event's: `first` would sort all of an actor's events by their id.
    named = ((one, list(found.filter(actor_id=one).values_list("actor_label", flat=True)[:1])) for one in actor_ids)
    return {actor_id: labels[0] for actor_id, labels in named if labels and labels[0]}


def event(event_id: int, visible: Q, *, using: str = "default") -> Event | None:
    """Return one event; None where there's none that is `visible`."""
    return Event.objects.using(using).filter(visible, id=event_id).first()


def around(event: Event) -> dict[str, dict[str, str]]:
    """Return the searches for what happened beside an event: in its transaction, for its request, in its task."""
    beside = {"transaction": str(event.txid), "request": event.request_id, "task": event.task_id}
    return {name: {name: text} for name, text in beside.items() if text}


def matching(search: Search, more: Q, *, limit: int, using: str = "default") -> list[Event]:
    """Return the first `limit` events of a search that also fulfil `more`, oldest first.

    Raises:
        SearchTooLongError: see `page`.
    """
    with within_time(using):
        return list(Event.objects.using(using).filter(search.conditions, more).order_by("recorded_at", "id")[:limit])


def narrowed(by: Facet, value: str) -> dict[str, str]:
    """Return the filters that narrow a search to one value of a facet."""
    if by != "day":
        return {by: value}
    day = date.fromisoformat(value)
    return {"since": value, "until": (day + timedelta(days=1)).isoformat()}


def events_of_request(request_id: str, *, limit: int = 500) -> QuerySet[Event]:
    """Return what a request caused, in the order in which it was recorded."""
    return Event.objects.filter(request_id=request_id).order_by("id")[:limit]


def recorded_at(event_id: int, *, using: str = "default") -> datetime | None:
    """Return when an event was recorded; None where there's no such event."""
    return Event.objects.using(using).filter(id=event_id).values_list("recorded_at", flat=True).first()


@contextmanager
def within_time(using: str, seconds: int | None = None) -> Iterator[None]:
    """Bound each statement of a block: a search that reads all of the ledger would hold a connection for minutes.

    The bound is `seconds`, by default `AUDIT_SEARCH_SECONDS`.

    Raises:
        SearchTooLongError: a statement took longer.
    """
    try:
        with transaction.atomic(using=using), connections[using].cursor() as cursor:
            cursor.execute("SELECT pg_catalog.current_setting('statement_timeout')")
            (before,) = cursor.fetchone()
            bound = f"{seconds or conf.search_seconds()}s"
            cursor.execute("SELECT pg_catalog.set_config('statement_timeout', %s, true)", [bound])
            yield
            # For the rest of a transaction that this block may be part of.
            cursor.execute("SELECT pg_catalog.set_config('statement_timeout', %s, true)", [before])
    except OperationalError as error:
        if isinstance(error.__cause__, errors.QueryCanceled):
            raise SearchTooLongError from error
        raise
