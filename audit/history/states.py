"""An object's history: its events, what it was at a time, and what changed between two times.

The ledger's times are those of recording, just before each commit: at a time, there may be a change here that others
could see only a moment later. What an object was before it was tracked is known from the first change of each field
since, or from the row as it is now. A column that was dropped keeps the value that it had last.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import Q

from audit import capture, values
from audit.history import folding, present
from audit.history.folding import Fold, Step
from audit.models import Event
from audit.reading import cursors
from audit.reading.cursors import Cursor
from audit.reading.queries import Page

_READS = "audit.ledger."


@dataclass(frozen=True, slots=True)
class State:
    """An object as it was at a time.

    `fields` has its values in the ledger's form (see `Event`), many-to-many fields as sorted lists of keys. `version`
    is the event that made it so, or ended it; None where the ledger knows none. `unknown` are the fields of which
    nobody knows: left out of the ledger, or older than it.
    """

    object_type: str
    object_id: str
    at: datetime
    exists: bool
    fields: Mapping[str, Any] = field(default_factory=dict)
    version: int | None = None
    unknown: tuple[str, ...] = ()


Whole = dict[type[models.Model], State]  # an object by the models whose tables have a row of it


def versions(
    object_type: str, object_id: str, cursor: Cursor | None = None, *, limit: int = 50, using: str = "default"
) -> Page:
    """Return the next `limit` events of an object behind `cursor`, in its order: by their sequence.

    Reads of the ledger aren't among them, or each look would lengthen what it looks at.

    Raises:
        CursorError: the cursor is of another database.
    """
    cursor = cursors.begun(cursor or Cursor(), using=using)
    found = _events_of(object_type, using).filter(
        cursors.condition(replace(cursor, position=None)), object_id=object_id
    )
    if cursor.position:
        found = found.filter(**{"id__lt" if cursor.order == "newest" else "id__gt": cursor.position[1]})
    # An order that no index has: with another, PostgreSQL may go through all the ledger for the first few.
    events = list(found.order_by("-id" if cursor.order == "newest" else "id")[: limit + 1])
    has_more, events = len(events) > limit, events[:limit]
    behind = replace(cursor, position=(events[-1].recorded_at, events[-1].pk)) if has_more else None
    return Page(events, behind, Cursor("oldest", cursor.database, seen=cursor.snapshot))


def is_known(object_type: str, object_id: str, *, using: str = "default") -> bool:
    """Whether the ledger has an event of that object, or there's a row of it now that is tracked."""
    if "\x00" in object_type + object_id:  # no text in the database has a NUL
        return False
    if _events_of(object_type, using).filter(object_id=object_id).order_by("id").values_list("id").first():
        return True
    model = present.tracked_model(object_type)
    return bool(model and present.rows(model, [object_id], using=using))


def state_at(object_type: str, object_id: str, at: datetime, *, using: str = "default") -> State:
    """Return what the object was at a time: what had been recorded by then. A later time than now is now."""
    return states_at(object_type, [object_id], at, using=using)[object_id]


def states_at(
    object_type: str, object_ids: Collection[str], at: datetime, *, using: str = "default"
) -> dict[str, State]:
    """Return the state of each of some objects of one type; see `state_at`."""
    (states,) = _states(object_type, object_ids, [at], using)
    return states


def difference(
    object_type: str, object_id: str, start: datetime, end: datetime, *, using: str = "default"
) -> dict[str, list[Any]]:
    """Return each field that differs between two times, with its value then and later.

    Where the object didn't exist at one of them, all its fields are there, None on that side. A field that isn't known
    of both is left out.
    """
    then, later = (states[object_id] for states in _states(object_type, [object_id], [start, end], using))
    model = present.tracked_model(object_type)
    found = {}
    for name in sorted({*then.fields, *later.fields} - {*then.unknown, *later.unknown}):
        if then.exists and later.exists:
            if name not in then.fields or name not in later.fields:
                continue
            if is_same(model, name, then.fields[name], later.fields[name]):
                continue
        found[name] = [then.fields.get(name), later.fields.get(name)]
    return found


def whole_at(
    model: type[models.Model], object_ids: Collection[str], at: datetime, *, using: str = "default"
) -> dict[str, Whole]:
    """Return the state of each of some objects in every table that it has a row in: its model's, and its parents'."""
    states = states_at(model._meta.label_lower, object_ids, at, using=using)
    found: dict[str, Whole] = {object_id: {model: state} for object_id, state in states.items()}
    for parent, link in model._meta.parents.items():
        if link is None or link.model is not model:  # a grandparent, which comes with its child
            continue
        column = capture.plain(link.column or "")
        keys = {one: present.text_of(state.fields[column]) for one, state in states.items() if column in state.fields}
        above = whole_at(parent, set(keys.values()), at, using=using) if keys else {}
        for object_id, key in keys.items():
            found[object_id] |= above[key]
    return found


def is_same(model: type[models.Model] | None, name: str, one: Any, other: Any) -> bool:
    """Whether two values in the ledger's form are one: a time may be written in the offset of who wrote it."""
    if values.dumps(one) == values.dumps(other):
        return True
    if model is None or not (isinstance(one, str) and isinstance(other, str)):
        return False
    try:
        return bool(values.to_python(model, name, one) == values.to_python(model, name, other))
    except (ValueError, FieldDoesNotExist):
        return False


def _events_of(object_type: str, using: str) -> models.QuerySet[Event]:
    return Event.objects.using(using).filter(~Q(action__startswith=_READS), object_type=object_type)


def _states(
    object_type: str, object_ids: Collection[str], times: Sequence[datetime], using: str
) -> list[dict[str, State]]:
    """The states of some objects at each of some times."""
    model = present.tracked_model(object_type)
    kept = present.columns_of(model) if model else {}
    knowable = [name for name, hidden in kept.items() if not hidden]
    sets = present.links_of(model) if model else {}
    unowned = _Unowned(object_type, using)
    folds = _folds(object_type, object_ids, times, unowned, using)
    rows, members = {}, {}
    open_ones = [one for one, found in folds.items() if any(each.needs_present(knowable, sets) for each in found)]
    if model and open_ones:
        rows = present.rows(model, open_ones, using=using)
        members = present.members(model, list(rows), using=using)
        # The events once more: of what changed meanwhile they tell what it was.
        unowned = _Unowned(object_type, using)
        folds |= _folds(object_type, open_ones, times, unowned, using)
    states: list[dict[str, State]] = [{} for _ in times]
    for object_id, found in folds.items():
        for place, (at, each) in enumerate(zip(times, found, strict=True)):
            if model and each.exists and not each.created_by:  # an update tells no key
                each.values = {**present.key_columns(model, object_id), **each.values}
            unknown = folding.complete(each, kept, sets, rows.get(object_id), members.get(object_id))
            unknown |= unowned.blur(each, at)
            states[place][object_id] = State(
                object_type, object_id, at, bool(each.exists), each.values, each.version, tuple(sorted(unknown))
            )
    return states


def _folds(
    object_type: str, object_ids: Collection[str], times: Sequence[datetime], unowned: "_Unowned", using: str
) -> dict[str, list[Fold]]:
    """What each object's events make of it at each of the times."""
    steps: dict[str, list[Step]] = {one: list(unowned.truncations) for one in object_ids}
    rows = Event.objects.using(using).filter(
        object_type=object_type,
        object_id__in=list(object_ids),
        action__in=[f"{object_type}.{kind}" for kind in folding.KINDS],
        outcome="success",
    )
    # Sorted here: PostgreSQL is to fetch by object, whatever it thinks of the order.
    found: Iterable[Any] = rows.order_by().values_list("object_id", "id", "recorded_at", "action", "changes")
    for object_id, *event in found:
        steps[object_id].append(_step(*event))
    for those in steps.values():
        those.sort(key=lambda step: step.id)
    return {one: [folding.fold(those, at) for at in times] for one, those in steps.items()}


def _step(event_id: int, recorded_at: datetime, action: str, changes: Any) -> Step:
    return Step(event_id, recorded_at, action.rpartition(".")[2], changes if isinstance(changes, dict) else {})


class _Unowned:
    """The events of a type that name no object: truncated tables, and links whose ends couldn't be told."""

    def __init__(self, object_type: str, using: str) -> None:
        self.truncations: list[Step] = []
        self._strays: dict[str, list[tuple[int, datetime]]] = {}
        events = Event.objects.using(using).filter(object_type=object_type, object_id__isnull=True).order_by()
        for step in (_step(*event) for event in events.values_list("id", "recorded_at", "action", "changes")):
            if step.kind == "truncated":
                self.truncations.append(step)
            elif step.kind == "updated":
                for name in step.changes:
                    self._strays.setdefault(name, []).append((step.id, step.recorded_at))

    def blur(self, found: Fold, at: datetime) -> set[str]:
        """Remove the many-to-many fields that such events may concern, and return their names."""
        blurred = set()
        for name, strays in self._strays.items():
            is_known = found.is_known(name)
            if found.exists and any(
                event_id > found.created_by and (not is_known or recorded_at <= at) for event_id, recorded_at in strays
            ):
                found.values.pop(name, None)
                blurred.add(name)
        return blurred
