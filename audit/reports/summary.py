"""What a period's ledger holds, as figures. Each says by which query of the ledger's search its events are found.

All figures are of one snapshot. The ledger is read once to count by day, actor, action and so on; the other questions
go by an index: to logins, to grants, to the order in time.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import get_user_model
from django.db import connections, transaction
from django.utils import timezone

from audit import status
from audit.errors import PeriodError
from audit.models import Event
from audit.reading import charts
from audit.reports import privileges
from audit.reports.counting import Grouping, counted, groupings

LONGEST_DAYS = 366
_MOST_LINES = 20
# An address is new that the same user hasn't come from within this time before the period.
_LOOKED_BACK = timedelta(days=90)
_MICROSECOND = timedelta(microseconds=1)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a figure: a value for each column, and the search that finds its events; empty where none can."""

    values: Mapping[str, Any]
    query: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A table. `query_form` is how a line's query is made of its values; `left_out` lines are not shown."""

    name: str
    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...] = ()
    total: int = 0
    left_out: int = 0
    query_form: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """The longest time within the period in which nothing was recorded."""

    begun_at: datetime
    ended_at: datetime
    query: str = ""

    @property
    def duration(self) -> timedelta:
        return self.ended_at - self.begun_at


@dataclass(frozen=True, slots=True)
class Report:
    """A period's summary; times are UTC. `notes` say what has to be known to read it rightly."""

    since: datetime
    until: datetime
    made_at: datetime
    database: str
    events: int
    query: str
    figures: tuple[Figure, ...]
    ledger_began_at: datetime | None
    first_event_at: datetime | None
    last_event_at: datetime | None
    silence: Silence | None
    notes: tuple[str, ...]

    def figure(self, name: str) -> Figure:
        """Return the figure of that name."""
        return next(one for one in self.figures if one.name == name)


def period(since: datetime | None, until: datetime | None, days: int | None) -> tuple[datetime, datetime]:
    """Return the period that is meant: until now, and of seven days, where nothing else is said.

    Raises:
        PeriodError: there's no such period; the message says how to mend it.
    """
    if since is not None and days is not None:
        raise PeriodError("Give --since or --days, not both.")
    now = timezone.now()
    end = until or now
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise PeriodError(f"--days takes 1 to {LONGEST_DAYS}.")
    begin = since or end - timedelta(days=days or 7)
    if begin >= end:
        what = "--until has to be later than --since" if until else "--since lies in the future: give an earlier one"
        raise PeriodError(f"{what}; the period would be {_iso(begin)} to {_iso(end)}.")
    if end - begin > timedelta(days=LONGEST_DAYS):
        raise PeriodError(f"A report covers at most {LONGEST_DAYS} days; make several, or bring --since nearer.")
    if begin > now:
        raise PeriodError(f"All of the period lies in the future; it's {_iso(now)} now.")
    return begin.astimezone(UTC), end.astimezone(UTC)


def make(since: datetime, until: datetime, *, using: str = "default", progress: Progress = lambda step: None) -> Report:
    """Return the report of what was recorded from `since` until before `until`; `progress` hears of each step."""
    made_at = timezone.now()
    search = Searches(since, until)
    with _snapshot(using):
        progress("counting events by day, actor, action, type, outcome and origin")
        groups = counted(since, until, using=using)
        figures = [_grouped(one, groups[one.name], search) for one in groupings()]
        progress("looking at logins")
        logins = [_failed_logins(search, using), _new_addresses(search, using)]
        progress("looking at grants of privileges")
        found = privileges.changes(since, until, using=using)
        progress("looking for silence")
        began_at, first_at, last_at = _ends(since, until, using)
        silence = _silence(search, began_at, min(until, made_at), using)
        progress("looking at what is captured")
        notes = _notes(since, until, made_at, began_at, using)
    days = next(place for place, one in enumerate(figures) if one.name == "logins")
    figures[days + 1 : days + 1] = [*logins, _grants(found, search)]
    return Report(
        since=since,
        until=until,
        made_at=made_at,
        database=using,
        events=figures[0].total,
        query=search.of({}),
        figures=tuple(figures),
        ledger_began_at=began_at,
        first_event_at=first_at,
        last_event_at=last_at,
        silence=silence,
        notes=notes,
    )


@contextmanager
def _snapshot(using: str) -> Iterator[None]:
    """Let all questions see the same events; within a transaction of somebody else's, as it allows."""
    connection = connections[using]
    is_outermost = not connection.in_atomic_block
    with transaction.atomic(using=using), connection.cursor() as cursor:
        if is_outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET LOCAL work_mem = '64MB'")
        yield


# --- queries of the search --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Searches:
    """Makes the queries that find events of a period."""

    since: datetime
    until: datetime

    def one(self, filters: Mapping[str, str]) -> str:
        """Return the query for these values and no others; empty where a filter can't say one of them."""
        return self.of(filters) if all(map(_can_be_said, filters.values())) else ""

    def of(self, filters: Mapping[str, str], since: datetime | None = None, until: datetime | None = None) -> str:
        """Return the query of `filters` as they stand."""
        return urlencode({**filters, "since": _iso(since or self.since), "until": _iso(until or self.until)})

    def on(self, day: str, filters: Mapping[str, str]) -> str:
        """Return the query of `filters` on one day, as far as it's in the period."""
        begin = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
        return self.of(filters, max(begin, self.since), min(begin + timedelta(days=1), self.until))


def _can_be_said(text: str) -> bool:
    """Whether a filter takes `text` for nothing but that one value."""
    return bool(text) and text == text.strip() and not (set(text) & {",", "*"} or text[0] == "!" or text[-1] == ".")


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


# --- figures ----------------------------------------------------------------------------------------------------------


def _grouped(grouping: Grouping, groups: list[dict[str, Any]], search: Searches) -> Figure:
    columns = tuple(name for name in (*grouping.by, *grouping.shown, *grouping.counts) if not name.startswith("_"))
    total = sum(int(one["_total"]) for one in groups[:1])
    form = [*(f"{name}={text}" for name, text in grouping.always.items())]
    form += [f"{name}=<{column}>" for name, column in grouping.filters.items()]
    lines = []
    if grouping.by.keys() == {"day"}:
        by_day = {one["day"]: one for one in groups}
        # The end is not within the period.
        last = (search.until - _MICROSECOND).date()
        for day, _ in charts.each_day({}, search.since.date(), last):
            values = by_day.get(day, {"day": day, **dict.fromkeys(grouping.counts, 0)})
            lines.append(_line(values, columns, search.on(day, grouping.always)))
        form.append("since=<day>&until=<next day>")
    else:
        for one in groups:
            asked = {name: one[column] for name, column in grouping.filters.items()}
            query = search.of({**grouping.always, **asked}) if search.one(asked) else ""
            lines.append(_line(one, columns, query))
    return Figure(
        grouping.name,
        grouping.title,
        columns,
        tuple(lines),
        total=total,
        left_out=sum(int(one["_groups"]) for one in groups[:1]) - len(groups),
        query_form="&".join(form),
        note=grouping.note,
    )


def _line(values: Mapping[str, Any], columns: tuple[str, ...], query: str) -> Line:
    return Line({name: values[name] for name in columns}, query)


def _failed_logins(search: Searches, using: str) -> Figure:
    """The names that were tried most: the ledger has their digests, and users' names give the same."""
    action = f"{get_user_model()._meta.label_lower}.login_failed"
    rows = _rows(
        """SELECT coalesce(changes ->> 'username_digest', ''), coalesce(context ->> 'address', ''), count(*),
            min(recorded_at), max(recorded_at), count(*) OVER (), sum(count(*)) OVER ()
        FROM public.audit_event WHERE action = %s AND recorded_at >= %s AND recorded_at < %s
        GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT %s""",
        [action, search.since, search.until, _MOST_LINES],
        using,
    )
    names = privileges.names_by_digest({digest for digest, *_ in rows if digest}, using=using)
    lines = []
    for digest, address, count, first, last, _, _ in rows:
        asked = {"action": action, "changes.username_digest.to": digest, "address": address}
        values = {"name": names.get(digest, ""), "digest": digest, "address": address, "failed": count}
        lines.append(Line({**values, "first": first, "last": last}, search.one(asked)))
    return Figure(
        "failed_logins",
        "Names that were tried in vain, and from where",
        ("name", "digest", "address", "failed", "first", "last"),
        tuple(lines),
        total=int(rows[0][6]) if rows else 0,
        left_out=rows[0][5] - len(rows) if rows else 0,
        query_form=f"action={action}&changes.username_digest.to=<digest>&address=<address>",
        note="What was typed is kept as a digest. A name is given where a user of today has it; others are of nobody.",
    )


def _new_addresses(search: Searches, using: str) -> Figure:
    action = f"{get_user_model()._meta.label_lower}.logged_in"
    rows = _rows(
        """SELECT user_id, name, address, logins, first, earlier, count(*) OVER (), sum(logins) OVER () FROM (
            SELECT object_id AS user_id, max(actor_label) AS name, context ->> 'address' AS address,
                count(*) FILTER (WHERE recorded_at >= %s) AS logins, min(recorded_at) AS first,
                count(CASE WHEN min(recorded_at) < %s THEN 1 END) OVER (PARTITION BY object_id) AS earlier
            FROM public.audit_event
            WHERE action = %s AND recorded_at >= %s AND recorded_at < %s AND context ->> 'address' <> ''
            GROUP BY object_id, context ->> 'address') address
        WHERE first >= %s ORDER BY earlier > 0 DESC, first LIMIT %s""",
        [search.since, search.since, action, search.since - _LOOKED_BACK, search.until, search.since, _MOST_LINES],
        using,
    )
    object_type = get_user_model()._meta.label_lower
    lines = [
        Line(
            {"user": name or "", "user_id": pk, "address": address, "logins": logins, "first": first, "known": earlier},
            search.one({"action": action, "object_type": object_type, "object_id": pk, "address": address}),
        )
        for pk, name, address, logins, first, earlier, _, _ in rows
    ]
    return Figure(
        "new_addresses",
        "Logins from new addresses",
        ("user", "user_id", "address", "logins", "first", "known"),
        tuple(lines),
        total=int(rows[0][7]) if rows else 0,
        left_out=rows[0][6] - len(rows) if rows else 0,
        query_form=f"action={action}&object_type={object_type}&object_id=<user id>&address=<address>",
        note=f"New is what the user hadn't come from in {_LOOKED_BACK.days} days before the period; "
        "known is how many other addresses there were. Those with any come first.",
    )


def _grants(found: privileges.Changes, search: Searches) -> Figure:
    lines = []
    for one in found.changes:
        # One event has a microsecond of its own.
        asked = {"object_type": one.object_type, "object_id": one.object_id}
        query = search.of({name: text for name, text in asked.items() if text}, one.at, one.at + _MICROSECOND)
        values = {"at": one.at, "object": one.name, "field": one.field, "before": one.before, "after": one.after}
        values |= {"by": one.by, "object_type": one.object_type, "object_id": one.object_id, "event_id": one.event_id}
        lines.append(Line(values, query))
    return Figure(
        "grants",
        "Privileges given and taken",
        ("at", "object", "field", "before", "after", "by"),
        tuple(lines),
        total=found.total,
        left_out=found.total - len({one.event_id for one in found.changes}),
        query_form="object_type=<type>&object_id=<id>&since=<at>",
        note="Superusers, staff, groups, permissions and API tokens, newest first. Groups and permissions have the "
        "names of today; one that is gone has its number.",
    )


# --- coverage ---------------------------------------------------------------------------------------------------------


def _ends(since: datetime, until: datetime, using: str) -> tuple[datetime | None, datetime | None, datetime | None]:
    times = Event.objects.using(using).values_list("recorded_at", flat=True)
    within = times.filter(recorded_at__gte=since, recorded_at__lt=until)
    return (
        times.order_by("recorded_at").first(),
        within.order_by("recorded_at").first(),
        within.order_by("-recorded_at").first(),
    )


def _silence(search: Searches, began_at: datetime | None, end: datetime, using: str) -> Silence | None:
    """The longest gap between two events, or between one and an end of the period."""
    if began_at is None or began_at >= end:
        return None
    begin = max(search.since, began_at)
    rows = _rows(
        """SELECT earlier, recorded_at FROM (
            SELECT recorded_at, lag(recorded_at, 1, %s) OVER (ORDER BY recorded_at) AS earlier
            FROM public.audit_event WHERE recorded_at >= %s AND recorded_at < %s) event
        ORDER BY recorded_at - earlier DESC LIMIT 1""",
        [begin, begin, end],
        using,
    )
    last = Event.objects.using(using).filter(recorded_at__gte=begin, recorded_at__lt=end).order_by("-recorded_at")
    gaps = [(earlier, later) for earlier, later in rows]
    gaps.append((last.values_list("recorded_at", flat=True).first() or begin, end))
    begun_at, ended_at = max(gaps, key=lambda gap: gap[1] - gap[0])
    # The search finds the events on either side, and none between.
    return Silence(begun_at, ended_at, search.of({}, begun_at, ended_at + _MICROSECOND))


def _notes(
    since: datetime, until: datetime, made_at: datetime, began_at: datetime | None, using: str
) -> tuple[str, ...]:
    notes = ["Of transactions that were open when this report was made, nothing is counted."]
    if until > made_at:
        notes.append("The period isn't over: what comes until its end is missing.")
    if began_at is None:
        notes.append("The ledger holds no event at all.")
    elif began_at > since:
        notes.append(f"The ledger's first event is of {_iso(began_at)}: nothing is known of the time before.")
    state = status.read(using)
    exempt = [model for model in state.models if model.decision == "exempt"]
    if exempt:
        labels = ", ".join(sorted(model.label for model in exempt))
        notes.append(f"Not captured, each for a reason that manage audit_status tells: {labels}.")
    notes += [f"The ledger isn't as it should be: {problem}" for problem in state.problems]
    return tuple(notes)


def _rows(sql: str, parameters: list[Any], using: str) -> list[tuple[Any, ...]]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())
