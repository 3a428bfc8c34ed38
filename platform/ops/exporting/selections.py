"""Which rows and fields are exported. What the ledger doesn't hold in plain text isn't: secrets stay here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import OuterRef, QuerySet

from audit.registry import Tracking, tracked_models
from ops.exporting.errors import ExportRefusedError
from telemetry.redaction import is_secret_name

# Tracked, and of no use to anyone without the secrets in them.
_REFUSED = frozenset({"accounts.apitoken"})
_STATUS_FIELDS = ("status", "state")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of one model."""

    label: str
    fields: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    date_field: str = ""
    statuses: Sequence[str] = ()
    with_personal: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of one model, as tuples of `fields`."""

    label: str
    fields: tuple[str, ...]
    rows: QuerySet[Any, tuple[Any, ...]]


def exportable_models() -> dict[str, tuple[type[models.Model], Tracking]]:
    """Return the models that may be exported, by their labels."""
    return {
        model._meta.label_lower: (model, tracking)
        for model, tracking in tracked_models()
        if model._meta.label_lower not in _REFUSED
    }


def select(wish: Wish) -> Selection:
    """Return the rows and fields that a wish comes to, oldest key first.

    Raises:
        ExportRefusedError: the model, a field, the date or the status isn't one that can be exported or asked for.
    """
    model, tracking = _model_named(wish.label)
    fields = _chosen(model, tracking, wish)
    rows = model._base_manager.order_by("pk")
    if wish.since or wish.until:
        name = date_field_of(model, wish.date_field)
        bounds = {f"{name}__gte": wish.since, f"{name}__lt": wish.until}
        rows = rows.filter(**{lookup: moment for lookup, moment in bounds.items() if moment})
    if wish.statuses:
        rows = rows.filter(**{f"{_status_field_of(model, wish.statuses)}__in": wish.statuses})
    lists = {f"exported_{name}": _far_keys(field) for name, field in fields.items() if field.many_to_many}
    columns = [f"exported_{name}" if field.many_to_many else name for name, field in fields.items()]
    return Selection(model._meta.label_lower, tuple(fields), rows.annotate(**lists).values_list(*columns))


def date_field_of(model: type[models.Model], wanted: str = "") -> str:
    """Return the date by which a model's rows are told apart: the one named, or the first that every row has.

    Raises:
        ExportRefusedError: there's no such date.
    """
    dates = {field.name: field for field in model._meta.concrete_fields if isinstance(field, models.DateTimeField)}
    if wanted:
        if wanted in dates:
            return wanted
        raise ExportRefusedError(f"{model._meta.label_lower} has no date {wanted}. It has: {_listed(dates)}.")
    certain = next((name for name, field in dates.items() if not field.null), None)
    if certain is None:
        raise ExportRefusedError(f"{model._meta.label_lower} has no date by which --since and --until could choose.")
    return certain


def _model_named(label: str) -> tuple[type[models.Model], Tracking]:
    known = exportable_models()
    found = known.get(label.lower())
    if found is not None:
        return found
    try:
        apps.get_model(label)
    except (LookupError, ValueError):
        raise ExportRefusedError(f"There is no model {label}. There are: {_listed(known)}.") from None
    raise ExportRefusedError(
        f"{label} isn't exported: it holds secrets, or what the ledger doesn't keep. There are: {_listed(known)}."
    )


def _chosen(model: type[models.Model], tracking: Tracking, wish: Wish) -> dict[str, Any]:
    """The fields to export by their names; a foreign key is its column, a many-to-many field a list of keys."""
    label = model._meta.label_lower
    fields: dict[str, Any] = {field.attname: field for field in model._meta.concrete_fields}
    fields |= {field.name: field for field in model._meta.many_to_many}
    personal = {name for name, field in fields.items() if _is_among(field, tracking.personal)}
    withheld = {name for name, field in fields.items() if _is_withheld(field, tracking)}
    hidden = withheld if wish.with_personal else withheld | personal
    offered = {name: field for name, field in fields.items() if name not in hidden}
    if not wish.fields:
        return offered
    by_name = {field.name: name for name, field in fields.items()} | {name: name for name in fields}
    chosen = {}
    for wanted in wish.fields:
        name = by_name.get(wanted)
        if name is None:
            raise ExportRefusedError(f"{label} has no field {wanted}. It has: {_listed(offered)}.")
        if name in withheld:
            raise ExportRefusedError(f"{label}.{wanted} isn't exported: it's secret, or the ledger doesn't keep it.")
        if name in hidden:
            raise ExportRefusedError(f"{label}.{wanted} is personal; it's exported with --personal alone.")
        chosen[name] = fields[name]
    return chosen


def _is_withheld(field: Any, tracking: Tracking) -> bool:
    return _is_among(field, tracking.mask | tracking.exclude) or is_secret_name(field.name)


def _is_among(field: Any, names: frozenset[str]) -> bool:
    return not names.isdisjoint({field.name, field.attname, field.column})


def _far_keys(field: Any) -> ArraySubquery:
    through = field.remote_field.through._base_manager
    near, far = f"{field.m2m_field_name()}_id", f"{field.m2m_reverse_field_name()}_id"
    return ArraySubquery(through.filter(**{near: OuterRef("pk")}).order_by(far).values(far))


def _status_field_of(model: type[models.Model], wanted: Sequence[str]) -> str:
    fields = {field.name: field for field in model._meta.concrete_fields}
    name = next((name for name in _STATUS_FIELDS if name in fields), None)
    if name is None:
        raise ExportRefusedError(f"{model._meta.label_lower} has no status; leave --status out.")
    field: Any = fields[name]
    known = [value for value, _ in getattr(field, "output_field", field).flatchoices]
    if unknown := [value for value in wanted if value not in known]:
        raise ExportRefusedError(f"{model._meta.label_lower} has no status {unknown[0]}. There are: {_listed(known)}.")
    return name


def _listed(names: Any) -> str:
    return ", ".join(map(str, names))
