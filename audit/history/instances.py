"""A model's objects as they were at a time, as instances of it that aren't saved."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from audit import capture, values
from audit.history import present, states
from audit.history.states import State, Whole
from audit.models import Event
from audit.reading import cursors
from audit.reading.cursors import Cursor
from audit.values import Cut, Masked

M = TypeVar("M", bound=models.Model)
_BATCH = 500


class AsOf(Generic[M]):
    """A model's objects as they were at a time: iterate over all that existed then, or `get` one.

    An instance has real values, and None where there's none to be had: `audit_unknown` names those fields and says why,
    in one word: "masked", "cut", "excluded", "retyped" or "unknown". `audit_many_to_many` has the keys of each
    many-to-many field. It isn't saved, and what it refers to is read as that is now.

    The ledger's times are those of recording, just before each commit. A row that no event tells of, and that is
    deleted while the iteration runs, may be missed.
    """

    def __init__(self, model: type[M], at: datetime, *, using: str = "default") -> None:
        if at.tzinfo is None:
            raise ValueError("A time needs its offset from UTC.")
        self._model = model
        self._table: type[models.Model] = model._meta.concrete_model or model
        self._at = at
        self._using = using
        if present.tracked_model(self._table._meta.label_lower) is None:
            raise ValueError(f"{model._meta.label} isn't tracked, so the ledger knows nothing of its objects.")

    def get(self, *, pk: Any) -> M:
        """Return the object with that primary key.

        Raises:
            Model.DoesNotExist: there was none at that time.
        """
        try:
            fields = self._model._meta.pk_fields
            parts = pk if len(fields) > 1 else (pk,)
            key = tuple(field.to_python(part) for field, part in zip(fields, parts, strict=True))
            object_id = values.object_id(self._model(pk=key if len(fields) > 1 else key[0]))
        except (ValidationError, ValueError, TypeError):
            object_id = ""
        if object_id:
            whole = states.whole_at(self._table, [object_id], self._at, using=self._using)[object_id]
            if whole[self._table].exists:
                return self._instance(whole)
        label = self._model._meta.label
        raise self._model.DoesNotExist(f"There was no {label} {pk!r} at {self._at.isoformat()}.")  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[M]:
        for object_ids in self._batches():
            for whole in states.whole_at(self._table, object_ids, self._at, using=self._using).values():
                if whole[self._table].exists:
                    yield self._instance(whole)

    def count(self) -> int:
        """Return how many there were. All their events are read for it."""
        label = self._table._meta.label_lower
        return sum(
            state.exists
            for object_ids in self._batches()
            for state in states.states_at(label, object_ids, self._at, using=self._using).values()
        )

    def _batches(self) -> Iterator[Sequence[str]]:
        """The ids of all objects, some at a time: those of which events tell, then rows that are as they ever were."""
        # Both by what is committed now: an object whose first event comes meanwhile is in the second part.
        visible = cursors.condition(cursors.begun(Cursor(), using=self._using))
        return chain(self._with_events(visible), self._without_events(visible))

    def _with_events(self, visible: Q) -> Iterator[Sequence[str]]:
        events = Event.objects.using(self._using).filter(
            visible, object_type=self._table._meta.label_lower, object_id__isnull=False
        )
        found = events.order_by("object_id").values_list("object_id", flat=True).distinct()
        batch = list(found[:_BATCH])
        while batch:
            yield batch
            batch = list(found.filter(object_id__gt=batch[-1])[:_BATCH])

    def _without_events(self, visible: Q) -> Iterator[Sequence[str]]:
        rows: models.QuerySet[Any] = models.QuerySet(self._table, using=self._using).order_by("pk")
        found = rows.annotate(audit_row=present.row_expression(self._table, using=self._using))
        pairs = found.values_list("pk", "audit_row")
        batch = list(pairs[:_BATCH])
        while batch:
            object_ids = [present.id_of(self._table, row) for _pk, row in batch]
            events = Event.objects.using(self._using).filter(
                visible, object_type=self._table._meta.label_lower, object_id__in=object_ids
            )
            told = set(events.order_by().values_list("object_id", flat=True).distinct())
            yield [object_id for object_id in object_ids if object_id not in told]
            batch = list(pairs.filter(pk__gt=batch[-1][0])[:_BATCH])

    def _instance(self, whole: Whole) -> M:
        held, unknown = python_values(self._model, whole)
        instance = self._model.from_db(self._using, list(held), list(held.values()))
        instance._state.adding = True
        members: dict[str, list[Any]] = {}
        for model, state in whole.items():
            for name, field in present.links_of(model).items():
                if name in state.fields:
                    members[name] = python_keys(field, state.fields[name])
                else:
                    unknown[name] = "unknown"
        instance.audit_many_to_many = members  # type: ignore[attr-defined]
        instance.audit_unknown = unknown  # type: ignore[attr-defined]
        return instance


def python_values(model: type[models.Model], whole: Whole) -> tuple[dict[str, Any], dict[str, str]]:
    """Return each column's value by its attribute, and by field name, in a word, why one is None for want of it."""
    held: dict[str, Any] = {}
    unknown: dict[str, str] = {}
    for field in model._meta.concrete_fields:
        value, why = python_value(field, whole.get(field.model))
        held[field.attname] = value
        if why:
            unknown[field.name] = why
    return held, unknown


def python_value(field: Any, state: State | None) -> tuple[Any, str]:
    """Return what a field held, and in a word why that's None where it isn't known."""
    column = capture.plain(field.column)
    if state is None or column not in state.fields:
        is_excluded = present.columns_of(field.model).get(column) == "excluded"
        return None, "excluded" if is_excluded else "unknown"
    try:
        value = values.to_python(field.model, field.name, state.fields[column])
    except ValueError:
        return None, "retyped"
    if isinstance(value, Masked | Cut):
        return None, "masked" if isinstance(value, Masked) else "cut"
    return value, ""


def python_keys(field: Any, keys: Sequence[Any]) -> list[Any]:
    """Return the keys of a many-to-many field as the other model has them."""
    far = field.remote_field.model
    return [values.to_python(far, far._meta.pk.name, key) for key in keys]
