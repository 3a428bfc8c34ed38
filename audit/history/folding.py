"""What an object's events make of it at a time. Nothing here asks a database."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

KINDS = ("created", "updated", "deleted", "truncated")


@dataclass(frozen=True, slots=True)
class Step:
    """One event that changed an object: its `kind` is one of KINDS, the end of its action."""

    id: int
    recorded_at: datetime
    kind: str
    changes: Mapping[str, Any]


@dataclass(slots=True)
class Fold:
    """An object at a time, as far as its events tell. `exists` is None where they don't.

    `created_by` is the event that made it, 0 where none is known: then its values are those of which any event told,
    and its sets those of `undone`, the changes to take back from what they were in the end. `ended` is the kind of the
    event that ended it since; empty where it's still there.
    """

    exists: bool | None = None
    version: int | None = None
    created_by: int = 0
    ended: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    members: dict[str, set[Any]] = field(default_factory=dict)
    emptied: set[str] = field(default_factory=set)  # sets that were emptied as a whole, and so are known since
    undone: dict[str, list[tuple[set[Any], set[Any]]]] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)  # sets that were emptied later, and nobody wrote down of what

    def is_known(self, name: str) -> bool:
        """Whether the events up to the time alone tell a many-to-many field's set."""
        return bool(self.created_by) or name in self.emptied

    def needs_present(self, columns: Collection[str], sets: Collection[str]) -> bool:
        """Whether only the row as it is now can tell some of `columns` and `sets`, or that there is one at all."""
        if self.exists is None:
            return True
        missing = any(name not in self.values for name in columns)
        return self.exists and not self.ended and (missing or not all(self.is_known(name) for name in sets))


def fold(steps: Sequence[Step], at: datetime) -> Fold:
    """Return what `steps`, in the order of their ids, make of their object at a time.

    The sequence is the truth of one object even where the clock jumped: all steps up to the last one that was recorded
    by then count, so that what is found was a version of the object and not a mixture of two.
    """
    count = max((place for place, step in enumerate(steps, 1) if step.recorded_at <= at), default=0)
    found = Fold()
    for step in steps[:count]:
        _go_on(found, step)
    if found.exists is not False:
        _look_ahead(found, steps[count:])
    return found


def complete(
    found: Fold,
    columns: Iterable[str],
    sets: Iterable[str],
    row: Mapping[str, Any] | None = None,
    members: Mapping[str, set[Any]] | None = None,
) -> set[str]:
    """Fill what the events don't tell from the row as it is now, and return what nobody knows.

    Args:
        found: what the events tell; its `values` get the rest, many-to-many fields as sorted lists.
        columns: the names of all columns.
        sets: the names of all many-to-many fields.
        row: the row as it is now, in the ledger's form, without what the ledger doesn't have; None where there's none.
        members: the many-to-many fields as they are now; what they lack is unknown.
    """
    if found.exists is None:
        found.exists = row is not None
    if not found.exists:
        found.values = {}
        return set()
    if not found.ended:
        found.values = {**(row or {}), **found.values}
    unknown = {name for name in columns if name not in found.values}
    for name in {*sets, *found.members, *found.undone}:
        now = set() if found.ended == "deleted" else None if found.ended else (members or {}).get(name)
        if found.is_known(name):
            found.values[name] = ordered(found.members.get(name, ()))
        elif now is None or name in found.lost:
            unknown.add(name)
        else:
            for added, removed in reversed(found.undone.get(name, [])):
                now = (now - added) | removed
            found.values[name] = ordered(now)
    return unknown


def ordered(members: Iterable[Any]) -> list[Any]:
    """Return keys as a list in an order that hangs on nothing else."""
    return sorted(members, key=lambda key: (isinstance(key, str), key))


def _go_on(found: Fold, step: Step) -> None:
    if step.kind == "created":
        if found.created_by:
            found.members, found.emptied = {}, set()
        # Otherwise what was linked before stays: a foreign key may be checked at the transaction's end.
        found.exists, found.created_by, found.version = True, step.id, step.id
        found.values = dict(step.changes)
    elif step.kind == "updated":
        if found.exists is False and not any(map(_pair, step.changes.values())):
            return  # the database's own cascade may take its links after the row
        found.exists, found.version = True, step.id
        for name, value in step.changes.items():
            if pair := _pair(value):
                found.values[name] = pair[1]
            elif moved := _moved(value):
                added, removed = moved
                found.members[name] = (found.members.get(name, set()) | added) - removed
    elif step.kind == "truncated" and step.changes:  # a table of links
        found.version = step.id if found.exists else found.version
        found.emptied.update(step.changes)
        found.members = {name: one for name, one in found.members.items() if name not in step.changes}
    elif found.exists is not False:
        found.exists, found.version, found.created_by = False, step.id, 0
        found.values, found.members, found.emptied = {}, {}, set()


def _look_ahead(found: Fold, later: Sequence[Step]) -> None:
    """Learn what was before the first later change of each field, until the object's end."""
    for step in later:
        if step.kind == "created":
            found.exists = bool(found.exists)
            found.ended = found.ended or step.kind
            return
        if step.kind == "updated":
            found.exists = True
            for name, value in step.changes.items():
                if pair := _pair(value):
                    if not found.ended:
                        found.values.setdefault(name, pair[0])
                elif moved := _moved(value):
                    found.undone.setdefault(name, []).append(moved)
        elif step.kind == "deleted":
            found.exists, found.ended = True, step.kind
            found.values = {**step.changes, **found.values}
        elif step.changes:
            found.lost.update(step.changes)
        else:
            found.exists = bool(found.exists)
            found.ended = found.ended or step.kind
            return


def _pair(value: Any) -> list[Any] | None:
    return value if isinstance(value, list) and len(value) == 2 else None


def _moved(value: Any) -> tuple[set[Any], set[Any]] | None:
    """What was added to a many-to-many field, and what removed; None where this is no change of one."""
    if not (isinstance(value, dict) and value and value.keys() <= {"added", "removed"}):
        return None
    added, removed = (
        {key for key in value.get(kind) or () if isinstance(key, str | int | Decimal)} for kind in ("added", "removed")
    )
    return added, removed
