"""What the ledger answers beside its search: facets, the API and the page, the tail, an object's history, one event."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import psycopg
from audit_queries_data.filling import say
from audit_queries_data.searching import PAGE_SIZE, RANGE, Case, Question, explained, period_of
from audit_queries_data.timing import Call, Plans, Times, timed
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

import audit
from accounts.models import User
from audit.errors import SearchTooLongError
from audit.reading import filters, queries
from audit.reading.access import EVERYTHING
from audit.reading.cursors import Cursor
from telemetry.context import Actor, Context, new_request_id, use

_CAME = 10


@dataclass
class Answered:
    """What one kind of question took."""

    part: str
    question: str
    times: Times
    plans: Plans
    goal_ms: float | None = None


@dataclass
class Bench:
    """What all these questions need: the cases of the search for their values, and how long to ask."""

    cases: list[Case]
    superuser: psycopg.Connection
    explainer: psycopg.Connection
    count: int
    seconds: float

    def answer(
        self,
        part: str,
        question: str,
        calls: list[Call],
        *,
        goal_ms: float | None = None,
        before: Call = lambda: None,
        is_explained: bool = True,
    ) -> Answered:
        """Time the calls, look at the plans of two, and tell."""
        times = timed(calls, seconds=self.seconds, before=before, too_long=SearchTooLongError)
        before()
        plans = explained(calls[:2], self.explainer) if is_explained else Plans()
        say(f"{part} {question}: {times.p95:,.1f} ms")
        return Answered(part, question, times, plans, goal_ms)

    def questions(self, name: str, values: str) -> list[Question]:
        """Return the questions of one case; none where there's no such case."""
        found = [case for case in self.cases if (case.name, case.values) == (name, values)]
        return found[0].questions if found else []


def answers(bench: Bench, part: str) -> Iterator[Answered]:
    """Ask one of `PARTS`."""
    yield from PARTS[part](bench, period_of(bench.superuser))


def _facets(bench: Bench, period: tuple[datetime, datetime]) -> Iterator[Answered]:
    searches = {
        "all events": [question.search(period) for question in bench.questions("time alone", "")],
        "of `blog.post`": [Question({"object_type": "blog.post"}, one.at) for one in bench.questions("time alone", "")],
    }
    searches["of `blog.post`"] = [question.search(period) for question in searches["of `blog.post`"]]
    for words, found in searches.items():
        for by in queries.FACETS:
            calls: list[Call] = [partial(queries.facet, search, by) for search in found]
            yield bench.answer("facets", f"by {by}, {words}", calls, goal_ms=1_000)


def _histories(bench: Bench, period: tuple[datetime, datetime]) -> Iterator[Answered]:
    try:
        from audit.history import states
    except ImportError:
        say("history: there's no audit.history.states")
        return
    chance = random.Random(7)
    begins, ends = period
    hot = [Question({"object_type": "blog.post", "object_id": str(n)}, ends) for n in range(1, 9)]
    for words, questions in (
        ("one event", bench.questions("object", "rare")),
        ("some events", bench.questions("object", "middling")),
        ("many events", bench.questions("object", "frequent")),
        ("hot objects", [hot[n % 8] for n in range(bench.count)]),
        ("none", bench.questions("object", "nothing")),
    ):
        objects = [(one.given["object_type"], one.given["object_id"]) for one in questions]
        if not objects:
            continue
        for order in ("newest", "oldest"):
            calls: list[Call] = [partial(states.versions, *one, Cursor(order), limit=PAGE_SIZE) for one in objects]
            yield bench.answer("history", f"first page, {order}; {words}", calls, goal_ms=50)
        calls = [partial(states.state_at, *one, begins + (ends - begins) * chance.random()) for one in objects]
        yield bench.answer("history", f"as of some time; {words}", calls, goal_ms=50)


def _tail(bench: Bench, period: tuple[datetime, datetime]) -> Iterator[Answered]:
    """Poll a tail, each time when ten events have come since."""
    for words, given in (("all events", {}), ("of one action", {"action": "benchmark.thing.viewed"})):
        search = filters.parse(given, EVERYTHING)
        resumed = [queries.page(search, Cursor(), limit=1).resume]

        def come() -> None:
            resumed[:] = [queries.page(filters.parse({}, EVERYTHING), Cursor(), limit=1).resume]  # noqa: B023
            with use(Context(request_id=new_request_id(), origin="http", actor_source=Actor("user", "7", "user0007"))):
                for number in range(_CAME):
                    audit.record(
                        "benchmark.thing.viewed", target=("benchmark.thing", str(number)), changes={"n": number}
                    )

        def poll() -> None:
            page = queries.page(search, resumed[0], limit=PAGE_SIZE)  # noqa: B023
            assert len(page.events) == _CAME, len(page.events)

        yield bench.answer(
            "tail", f"a poll in which {_CAME} events came, {words}", [poll] * bench.count, goal_ms=20, before=come
        )


def _requests(bench: Bench, period: tuple[datetime, datetime]) -> Iterator[Answered]:
    """Ask the API and the page as an auditor, through all middleware; each reading is recorded."""
    client = auditor()

    def get(path: str, given: dict[str, str] | None = None) -> Call:
        def call() -> None:
            response = client.get(path, given or {})
            assert response.status_code == 200, (path, given, response.status_code, response.content[:500])

        return call

    # Otherwise the throttle would refuse.
    asking: Callable[..., Answered] = partial(bench.answer, before=cache.clear)
    yield asking("page", "`/audit/` opens", [get("/audit/")] * bench.count, goal_ms=300)
    for path in ("/audit/overview/",):
        if client.get(path).status_code == 200:
            yield asking("page", f"`{path}`, its facets", [get(path)] * bench.count, goal_ms=1_000)
    for name, values in (
        ("time alone", ""),
        ("actor", "frequent"),
        ("action", "frequent"),
        ("object", "middling"),
        ("request", "middling"),
        ("outcome", "`denied`"),
        ("q", "rare: `refund`"),
    ):
        questions = bench.questions(name, values)
        if not questions:
            continue
        asked = [dict(question.search(period).given) for question in questions]
        yield asking("API", f"events: {name} {values}, 30 days", [get(reverse("audit-events"), one) for one in asked])
    for name, values in (("request", "frequent"), ("request", "middling")):
        ids = _event_ids(bench, [one.given["request"] for one in bench.questions(name, values)])
        calls = [get(reverse("audit-event", args=[one])) for one in ids]
        if calls:
            yield asking("API", f"one event with what is around it; {name} {values}", calls)
    since = (period[1] - RANGE).isoformat()
    for by in ("day", "actor", "action"):
        calls = [get(reverse("audit-facets"), {"by": by, "since": since})] * bench.count
        yield asking("API", f"facet by {by}, 30 days", calls, goal_ms=1_000)


def _event_ids(bench: Bench, request_ids: list[str]) -> list[int]:
    rows = bench.superuser.execute(
        "SELECT min(id) FROM public.audit_event WHERE request_id = ANY (%s) GROUP BY request_id", [request_ids]
    ).fetchall()
    return [row[0] for row in rows]


def auditor() -> Client:
    """Return a browser in which somebody who may read the ledger has logged in."""
    user, _ = User.objects.get_or_create(username="bench_auditor")
    user.groups.add(Group.objects.get(name="auditor"))
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    return client


PARTS: dict[str, Callable[[Bench, tuple[datetime, datetime]], Iterator[Answered]]] = {
    "facets": _facets,
    "history": _histories,
    "tail": _tail,
    "api": _requests,
}
