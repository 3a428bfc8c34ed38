"""What a list of tasks may be narrowed by: the same for pages, API and socket, and for retrying many."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from audit.reading.filters import moment
from tasks.errors import FilterError
from tasks.models import FINISHED_STATES, Outcome, State, TaskRun


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter as people see it."""

    name: str
    label: str
    help: str
    example: str
    longest: int = 200


FILTERS = (
    Filter("state", "State", f"One of {', '.join(State.values)}.", "dead"),
    Filter("name", "Task", "The task's name, exactly.", "blog.notify_comment"),
    Filter("queue", "Queue", "The queue's name.", "default"),
    Filter("person", "Asked for by", "The username, or the id, of who asked for it.", "reader"),
    Filter("since", "Since", "A time (UTC), or how long ago: 30m, 12h, 7d.", "12h", 40),
    Filter("request_id", "Request", "The id of the request that asked for it.", "01a20a147022726bbca69b411c9f6b6f", 64),
    Filter("error", "Error", "A part of the error of a task that is dead or cancelled.", "TimeoutError"),
)
_AGO = re.compile(r"(\d{1,4})\s?([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Filters that were understood; `given` is what was asked, word for word, without the empty ones."""

    given: Mapping[str, str]
    conditions: Q

    @property
    def is_unfinished(self) -> bool:
        """Whether none that is finished gets through."""
        return self.given.get("state", "") not in ("", *FINISHED_STATES)

    def of(self, runs: QuerySet[TaskRun]) -> QuerySet[TaskRun]:
        """Return those of `runs` that all filters let through."""
        return runs.filter(self.conditions)


EVERYTHING = Narrowing({}, Q())


def parse(asked: Mapping[str, Any]) -> Narrowing:
    """Return what the filters among `asked` mean; other names in it aren't looked at.

    Raises:
        FilterError: some are malformed; all of them are named at once.
    """
    given = {one.name: text for one in FILTERS if (text := str(asked.get(one.name) or "").strip())}
    conditions, problems = Q(), dict[str, list[str]]()
    for one in FILTERS:
        if one.name in given:
            try:
                conditions &= _condition(one, given[one.name])
            except ValueError as error:
                problems[one.name] = [str(error)]
    if problems:
        raise FilterError(problems)
    return Narrowing(given, conditions)


def _condition(one: Filter, text: str) -> Q:
    if len(text) > one.longest:
        raise ValueError(f"At most {one.longest} characters.")
    if "\x00" in text:
        raise ValueError("No task has a NUL in it.")
    match one.name:
        case "state":
            return _in_state(text)
        case "person":
            return _asked_for_by(text)
        case "since":
            return Q(enqueued_at__gte=_time(text))
        case "error":  # the others have none; and so an index finds them
            return Q(outcome__in=[Outcome.DEAD, Outcome.CANCELLED], error__icontains=text)
    return Q(**{one.name: text})


def _in_state(state: str) -> Q:
    """By the outcome where that tells it: the indexes are made of it."""
    if state not in State.values:
        raise ValueError(f"There is no such state. States are: {', '.join(State.values)}.")
    return Q(outcome=state) if state in Outcome.values else Q(outcome="", state=state)


def _asked_for_by(person: str) -> Q:
    # By the id, which is indexed; the name that a run keeps is that of its time.
    known = User.objects.filter(username=person).values_list("pk", flat=True).first()
    if known is None and person.isascii() and person.isdigit():
        known = int(person)
    return Q(actor_label=person) if known is None else Q(actor_type="user", actor_id=str(known))


def _time(text: str) -> datetime:
    if ago := _AGO.fullmatch(text.lower()):
        return timezone.now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return moment(text)
    except ValueError:
        raise ValueError(f"“{text}” is no time. Write 30m, 12h, 7d, 2026-03-01 or 2026-03-01T14:30:00Z.") from None
