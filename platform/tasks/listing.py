"""A page of the list of tasks, found by key: the thousandth costs no more than the first."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_datetime

from tasks.errors import KeyFormError
from tasks.filters import Narrowing
from tasks.models import TaskRun
from tasks.queries import Viewer, bounded, runs_visible_to

PAGE_SIZE = 50
LONGEST_SECONDS = 3
# What a row of the list doesn't show may be big.
_LEFT_OUT = ("message", "carrier", "arguments", "result")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the list a page lies: older than a key, newer than one, or with neither at the top."""

    before: str = ""
    after: str = ""

    @property
    def is_top(self) -> bool:
        """Whether the page shows what is newest."""
        return not self.before and not self.after


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page's runs, newest first, and the keys of its neighbours; empty where there's none."""

    runs: Sequence[TaskRun]
    newer: str = ""
    older: str = ""


TOP = Place()


def key_of(run: TaskRun) -> str:
    """Return a run's key: where it stands in the list, whatever comes to it. As texts, keys are in the same order."""
    return f"{run.enqueued_at.isoformat(timespec='microseconds')}_{run.pk}"


def run_page(
    viewer: Viewer, narrowing: Narrowing, place: Place = TOP, *, size: int = PAGE_SIZE, seconds: int = LONGEST_SECONDS
) -> RunPage:
    """Return a page of the runs that `viewer` may see.

    Raises:
        KeyFormError: the place isn't one.
        audit.errors.SearchTooLongError: it took longer than `seconds`.
    """
    runs = narrowing.of(runs_visible_to(viewer)).defer(*_LEFT_OUT)
    with bounded(seconds, by_index=narrowing.is_unfinished):
        if place.after:
            found = list(_newer_than(runs, place.after)[: size + 1])
            if len(found) > size:
                return RunPage(found[:size][::-1], key_of(found[size - 1]), key_of(found[0]))
            # Nothing is newer than these: it's the top.
        found = list((_older_than(runs, place.before) if place.before else runs)[: size + 1])
        has_more, found = len(found) > size, found[:size]
        newer = key_of(found[0]) if place.before and found else ""
        return RunPage(found, newer, key_of(found[-1]) if has_more else "")


# Of the two conditions on the time, the first is what the index takes.
def _older_than(runs: QuerySet[TaskRun], key: str) -> QuerySet[TaskRun]:
    time, run_id = _parsed(key)
    return runs.filter(Q(enqueued_at__lte=time) & (Q(enqueued_at__lt=time) | Q(id__lt=run_id)))


def _newer_than(runs: QuerySet[TaskRun], key: str) -> QuerySet[TaskRun]:
    time, run_id = _parsed(key)
    newer = runs.filter(Q(enqueued_at__gte=time) & (Q(enqueued_at__gt=time) | Q(id__gt=run_id)))
    return newer.order_by("enqueued_at", "id")


def _parsed(key: str) -> tuple[object, uuid.UUID]:
    text, _, run_id = key.partition("_")
    try:
        time = parse_datetime(text.replace(" ", "+"))  # a plus that somebody didn't quote
        if time is None or time.tzinfo is None:
            raise KeyFormError(KeyFormError.__doc__)
        return time, uuid.UUID(run_id)
    except ValueError as error:
        raise KeyFormError(KeyFormError.__doc__) from error
