"""Every filter of the ledger's search, with values of which there are many events, some, one or none."""

import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import psycopg
from audit_queries_data.filling import say
from audit_queries_data.timing import Call, Plans, Times, plans_of, timed
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.errors import SearchTooLongError
from audit.models import Event
from audit.reading import cursors, filters, queries
from audit.reading.access import EVERYTHING
from audit.reading.cursors import Cursor, Order
from audit.reading.filters import BY_NAME, Search

RANGE = timedelta(days=30)
PAGE_SIZE = 50
DEEP_PAGE = 1_000
# To find where their page 1,000 begins costs far more than to read it, and takes seconds where there's no index.
_DEEP_VALUES = 15
_DEEP_VALUES_UNINDEXED = 3
_FEWER_SECONDS = 0.3
_NOBODY = "0f" * 16

# The values of a filter, as an expression of the ledger's columns. All are counted, or 2,000 of those of some events.
_COUNTED = {
    "object_type": "object_type",
    "actor": "actor_id",
    "action": "action",
    "outcome": "outcome",
    "origin": "origin",
}
_SAMPLED = {
    "object": "object_type || ' ' || object_id",
    "request": "request_id",
    "trace": "trace_id",
    "task": "task_id",
    "transaction": "txid::text",
    "address": "context ->> 'address'",
}
_NOTHING = {
    "object_type": {"object_type": "blog.nothing"},
    "object": {"object_type": "blog.post", "object_id": "nothing"},
    "actor": {"actor": "999999999"},
    "action": {"action": "blog.post.vanished"},
    "request": {"request": _NOBODY},
    "trace": {"trace": _NOBODY},
    "task": {"task": "01a20a13-5806-7e2e-aa24-03134997b5fb"},
    "transaction": {"transaction": "3"},
    "origin": {"origin": "shell"},
    "address": {"address": "192.0.2.7"},
    "changed": {"changed": "colour"},
    "changes": {"changes.status.to": "hidden"},
    "q": {"q": "zzyzx"},
}
# What no column's values tell: beginnings, what is left out, words, changes, and filters together.
_WRITTEN = (
    ("action", "`blog.`", {"action": "blog."}),
    ("action", "`accounts.*`", {"action": "accounts.*"}),
    ("action", "`!chat.`", {"action": "!chat."}),
    ("actor", "`!2001`, the most frequent left out", {"actor": "!2001"}),
    ("outcome", "`!success`", {"outcome": "!success"}),
    ("changed", "frequent", {"changed": "body"}),
    ("changed", "middling", {"changed": "status"}),
    ("changed", "rare", {"changed": "permissions"}),
    ("changes", "middling: `changes.status.to=published`", {"changes.status.to": "published"}),
    ("changes", "rare: `changes.permissions.to=12`", {"changes.permissions.to": "12"}),
    ("q", "frequent: `message`", {"q": "message"}),
    ("q", "middling: `ticket`", {"q": "ticket"}),
    ("q", "rare: `refund`", {"q": "refund"}),
    ("together", "actor 7, `blog.`", {"actor": "7", "action": "blog."}),
    ("together", "actor 2001, denied", {"actor": "2001", "outcome": "denied"}),
    ("together", "`blog.post`, changed `status`", {"object_type": "blog.post", "changed": "status"}),
    ("together", "denied, `accounts.`, from http", {"outcome": "denied", "action": "accounts.", "origin": "http"}),
)


@dataclass(frozen=True)
class Question:
    """One search, and a time around which its range is laid."""

    given: dict[str, str]
    at: datetime

    def search(self, period: tuple[datetime, datetime] | None) -> Search:
        """Return the search: at any time, or in the 30 days around its time that lie in `period`."""
        if period is None:
            return filters.parse(self.given, EVERYTHING)
        begins, ends = period
        since = max(begins, min(self.at - RANGE / 2, ends - RANGE))
        asked = {**self.given, "since": since.isoformat(), "until": (since + RANGE).isoformat()}
        return filters.parse(asked, EVERYTHING)


@dataclass(frozen=True)
class Case:
    """A filter with values of one frequency; `usual` is how many events the middle one has, where that is known."""

    name: str
    values: str
    questions: list[Question]
    usual: int | None = None

    @property
    def is_indexed(self) -> bool:
        """Whether the platform promises that all of its filters, or one that narrows the others, have an index."""
        return (
            any(BY_NAME[name].index for name in self.questions[0].given if name in BY_NAME) or self.name == "time alone"
        )


@dataclass
class Measured:
    """What a case took, by what was asked: a page, at which end and depth, or the total."""

    case: Case
    has_range: bool
    times: dict[str, Times]
    plans: Plans


def cases(superuser: psycopg.Connection, count: int) -> Iterator[Case]:
    """Give every filter with `count` questions for each kind of value."""
    begins, ends = period_of(superuser)
    chance = random.Random(7)

    def sometime(first: datetime = begins, last: datetime = ends) -> datetime:
        return first + (last - first) * chance.random()

    yield Case("time alone", "", [Question({}, sometime()) for _ in range(count)])
    for name, rows in [*_count_all(superuser), *_count_sampled(superuser)]:
        for words, part in _by_frequency(rows):
            questions = []
            for number in range(count):
                value, first, last, _ = part[number % len(part)]
                questions.append(Question(_given(name, value), sometime(first, last)))
            yield Case(name, words, questions, part[len(part) // 2][3])
    for name, words, given in _WRITTEN:
        yield Case(name, words, [Question(given, sometime()) for _ in range(count)])
    for name, given in _NOTHING.items():
        yield Case(name, "nothing", [Question(given, sometime()) for _ in range(count)], 0)


def period_of(superuser: psycopg.Connection) -> tuple[datetime, datetime]:
    """Return when the year of events begins and ends."""
    row = superuser.execute("SELECT begins, ends FROM bench.scale").fetchone()
    assert row
    return row[0], row[1]


Counted = tuple[str, datetime, datetime, int]  # a value, its first and last time, its events


def _count_all(superuser: psycopg.Connection) -> Iterator[tuple[str, list[Counted]]]:
    for name, expression in _COUNTED.items():
        yield (
            name,
            superuser.execute(
                f"SELECT {expression}, min(recorded_at), max(recorded_at), count(*) FROM public.audit_event"
                f" WHERE {expression} <> '' AND id <= (SELECT total FROM bench.scale) GROUP BY 1 ORDER BY 4 DESC, 1"
            ).fetchall(),
        )


def _count_sampled(superuser: psycopg.Connection) -> Iterator[tuple[str, list[Counted]]]:
    for name, expression in _SAMPLED.items():
        # The hot objects are found whatever the sample is.
        values = superuser.execute(
            f"WITH seen AS (SELECT {expression} AS value, id"
            " FROM public.audit_event TABLESAMPLE BERNOULLI (1) REPEATABLE (7)"
            f" WHERE {expression} <> '' AND object_id <> '')"
            " SELECT value FROM (SELECT value FROM seen ORDER BY md5(id::text) LIMIT 2000) taken"
            " UNION SELECT value FROM (SELECT value FROM seen GROUP BY 1 ORDER BY count(*) DESC LIMIT 8) most"
        ).fetchall()
        yield (
            name,
            superuser.execute(
                f"SELECT {expression}, min(recorded_at), max(recorded_at), count(*) FROM public.audit_event"
                f" WHERE {expression} = ANY (%s) GROUP BY 1 ORDER BY 4 DESC, 1",
                [[value for (value,) in values]],
            ).fetchall(),
        )


def _by_frequency(rows: list[Counted]) -> Iterator[tuple[str, list[Counted]]]:
    """Give the values by how many events they have: each where they are few, else the most frequent and so on."""
    if len(rows) < 6:
        yield from ((f"`{row[0]}`", [row]) for row in rows)
        return
    size = min(50, max(1, len(rows) // 10))
    middle = (len(rows) - size) // 2
    yield "most frequent", rows[:1]
    yield "frequent", rows[1 : 1 + size]
    yield "middling", rows[middle : middle + size]
    yield "rare", rows[-size:]


def _given(name: str, value: str) -> dict[str, str]:
    if name == "object":
        object_type, _, object_id = value.partition(" ")
        return {"object_type": object_type, "object_id": object_id}
    return {name: value}


def measure(
    case: Case,
    period: tuple[datetime, datetime] | None,
    explainer: psycopg.Connection,
    *,
    seconds: float,
) -> Measured:
    """Ask a case's questions: the first page, page 1,000 or the last, from either end, and the total."""
    searches = [question.search(period) for question in case.questions]
    times: dict[str, Times] = {}
    plans = Plans()
    first: list[Call] = [partial(queries.page, one, Cursor("newest"), limit=PAGE_SIZE) for one in searches]
    times["first newest"], is_slow = _ask(first, seconds)
    plans.add(explained(first[:2], explainer))
    if not is_slow:
        calls: list[Call] = [partial(queries.page, one, Cursor("oldest"), limit=PAGE_SIZE) for one in searches]
        times["first oldest"], _ = _ask(calls, seconds)
        orders: tuple[Order, ...] = ("newest", "oldest")
        deep = searches[: _DEEP_VALUES if case.is_indexed else _DEEP_VALUES_UNINDEXED]
        for order in orders:
            calls = list(_deep(deep, order, seconds))
            if calls:
                times[f"deep {order}"], _ = _ask(calls, seconds)
                plans.add(explained(calls[:1], explainer))
    totals: list[Call] = [partial(queries.total, one) for one in searches]
    times["total"], _ = _ask(totals, seconds)
    plans.add(explained(totals[:2], explainer))
    say(f"{case.name} {case.values}{', 30 days' if period else ''}: {times['first newest'].p95:,.1f} ms")
    return Measured(case, period is not None, times, plans)


def _ask(calls: Sequence[Call], seconds: float) -> tuple[Times, bool]:
    times = timed(calls, seconds=seconds, too_long=SearchTooLongError)
    return times, times.p50 > _FEWER_SECONDS * 1e3


def _deep(searches: list[Search], order: Order, seconds: float) -> Iterator[Call]:
    """Give the calls for page 1,000 of each search, or its last page where it has fewer; none where it has one."""
    begun = cursors.begun(Cursor(order))
    for search in searches:
        found = queries.ordered(Event.objects.filter(search.conditions), begun).values_list("recorded_at", "id")
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = '10s'")
                behind = (DEEP_PAGE - 1) * PAGE_SIZE
                around = list(found[behind - 1 : behind + 1])
                if len(around) < 2 and (count := found.count()) > PAGE_SIZE:
                    behind = (count - 1) // PAGE_SIZE * PAGE_SIZE
                    around = list(found[behind - 1 : behind + 1])
        except OperationalError:
            return
        if len(around) == 2:
            yield partial(queries.page, search, replace(begun, position=around[0]), limit=PAGE_SIZE)


def explained(calls: Sequence[Call], explainer: psycopg.Connection) -> Plans:
    """Return how the server answers what these calls ask of the ledger."""
    plans = Plans()
    for call in calls:
        with CaptureQueriesContext(connection) as captured:
            with suppress(SearchTooLongError):
                call()
        plans.add(plans_of(_reads_of_the_ledger(captured.captured_queries), explainer))
    return plans


def _reads_of_the_ledger(captured: Sequence[dict[str, Any]]) -> list[str]:
    return [one["sql"] for one in captured if one["sql"].startswith("SELECT") and '"audit_event"' in one["sql"]]
