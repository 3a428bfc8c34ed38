"""Rows as they are now, in the form in which the ledger has them."""

from collections.abc import Collection
from contextlib import suppress
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db import connections, models
from django.db.models.expressions import RawSQL

from audit import capture, values
from audit.registry import tracking_of

Row = dict[str, Any]


def tracked_model(object_type: str) -> type[models.Model] | None:
    """Return the model whose rows are events of that type; None where none is installed and tracked."""
    try:
        model = apps.get_model(object_type)
    except (LookupError, ValueError):
        return None
    return model if model._meta.label_lower == object_type and tracking_of(model) else None


def columns_of(model: type[models.Model]) -> dict[str, str]:
    """Return the columns of the model's own table, each with "masked", "excluded" or "" for what the ledger has."""
    tracking = tracking_of(model)
    kept = {}
    for field in model._meta.local_concrete_fields:
        names = {field.name, field.attname, field.column}
        is_excluded = bool(tracking and names & tracking.exclude)
        is_masked = bool(tracking and names & tracking.mask)
        kept[_column(field)] = "excluded" if is_excluded else "masked" if is_masked else ""
    return kept


def links_of(model: type[models.Model]) -> dict[str, Any]:
    """Return the many-to-many fields that are captured as changes of the model's objects."""
    fields: list[Any] = model._meta.local_many_to_many
    return {field.name: field for field in fields if field.remote_field.through._meta.auto_created}


def key_of(model: type[models.Model], object_id: str) -> Any:
    """Return the primary key that `object_id` stands for.

    Raises:
        ValueError: no row of the model can have it.
    """
    fields = model._meta.pk_fields
    if len(fields) == 1:
        return values.to_python(model, fields[0].name, object_id)
    parts = values.loads(object_id)
    if not isinstance(parts, list) or len(parts) != len(fields):
        raise ValueError(f"{object_id[:100]!r} is no key of {model._meta.label}.")
    return tuple(values.to_python(model, field.name, part) for field, part in zip(fields, parts, strict=True))


def key_columns(model: type[models.Model], object_id: str) -> Row:
    """Return the columns of the key that `object_id` stands for, in the ledger's form; empty where there's no such."""
    columns = [_column(field) for field in model._meta.pk_fields]
    with suppress(ValueError):
        key = key_of(model, object_id)
        if len(columns) > 1:
            return dict(zip(columns, values.loads(object_id), strict=True))
        return {columns[0]: key if isinstance(key, int | float | Decimal) else object_id}
    return {}


def id_of(model: type[models.Model], row: Row) -> str:
    """Return the object id of a row in the ledger's form."""
    keys = [row[_column(field)] for field in model._meta.pk_fields]
    return text_of(keys[0] if len(keys) == 1 else keys)


def text_of(key: Any) -> str:
    """Return a key in the ledger's form as the object id that it is."""
    return key if isinstance(key, str) else values.dumps(key).decode()


def rows(
    model: type[models.Model], object_ids: Collection[str], *, using: str, with_masked: bool = False
) -> dict[str, Row]:
    """Return the rows that there are now by object id, without what the ledger hides.

    Args:
        with_masked: give the plain values of masked columns as well; they are for nobody's eyes.
    """
    keys = _keys(model, object_ids)
    if not keys:
        return {}
    found: models.QuerySet[Any] = models.QuerySet(model, using=using).filter(pk__in=keys)
    images = found.annotate(audit_row=row_expression(model, using=using, with_masked=with_masked))
    return {id_of(model, row): row for row in images.values_list("audit_row", flat=True)}


def row_expression(model: type[models.Model], *, using: str, with_masked: bool = False) -> RawSQL:
    """Return the expression for a row of the model in the ledger's form; see `rows`."""
    connection = connections[using]
    hidden = ("excluded",) if with_masked else ("excluded", "masked")
    table = capture.Table(
        name=capture.plain(model._meta.db_table),
        subject=model._meta.label_lower,
        columns=tuple(
            capture.Column(_column(field), field.db_type(connection) or "")
            for field in model._meta.local_concrete_fields
        ),
        key=(),
        next_column=0,
        exclude=frozenset(column for column, kept in columns_of(model).items() if kept in hidden),
    )
    return _json(capture.whole(table, capture.quoted(table.name)))


def members(
    model: type[models.Model], object_ids: Collection[str], *, using: str, is_locked: bool = False
) -> dict[str, dict[str, set[Any]]]:
    """Return the many-to-many fields as they are now, by object id and field name, as keys in the ledger's form."""
    keys = _keys(model, object_ids)
    found: dict[str, dict[str, set[Any]]] = {one: {} for one in object_ids}
    for name, field in links_of(model).items():
        for sets in found.values():
            sets[name] = set()
        through = field.remote_field.through
        table = capture.quoted(capture.plain(through._meta.db_table))
        near, far = (capture.quoted(capture.plain(one)) for one in (field.m2m_column_name(), field.m2m_reverse_name()))
        links: models.QuerySet[Any] = models.QuerySet(through, using=using).filter(
            **{f"{field.m2m_field_name()}__in": keys}
        )
        if is_locked:
            links = links.select_for_update()
        pairs = links.annotate(
            audit_near=_json(f"pg_catalog.to_jsonb({table}.{near})"),
            audit_far=_json(f"pg_catalog.to_jsonb({table}.{far})"),
        )
        for near_key, far_key in pairs.values_list("audit_near", "audit_far"):
            if (object_id := text_of(near_key)) in found:
                found[object_id][name].add(far_key)
    return found


def _column(field: Any) -> str:
    return capture.plain(field.column)


def _json(sql: str) -> RawSQL:
    field: Any = models.JSONField(decoder=values.ExactDecoder)
    return RawSQL(sql.replace("%", "%%"), [], field)  # noqa: S611 -- names of our own tables, quoted


def _keys(model: type[models.Model], object_ids: Collection[str]) -> list[Any]:
    keys = []
    for object_id in object_ids:
        with suppress(ValueError):  # no row can have it
            keys.append(key_of(model, object_id))
    return keys
