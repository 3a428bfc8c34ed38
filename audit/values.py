"""Ledger values, exactly: read from JSON, written as JSON, and turned back into what a model's field holds.

The ledger holds what PostgreSQL's `to_jsonb` makes of a value: numbers stay numbers with all their digits, JSON and
arrays stay what they are, and dates, intervals, ranges and bytes become their text.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson
from django.conf import settings
from django.core.exceptions import FieldDoesNotExist
from django.db import connections, models, router
from django.db.backends.postgresql.psycopg_any import get_adapters_template
from psycopg import DataError, abc, adapt, postgres
from psycopg.pq import Format

# Deeper JSON stays the text that it is: Python's parser, and many a reader's, would fail on it.
_DEEPEST = 200
_DEEPEST_WRITTEN = 100_000  # many times what PostgreSQL's jsonb goes
_MOST_EXPANDED_DIGITS = 200_000  # more than PostgreSQL's numeric has
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]')
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # an escape, and not a backslash with the same letters after it
_JSON = ("jsonb", "json")
_ARRAY = re.compile(r"(.+)\[\d*\]")


@dataclass(frozen=True, slots=True)
class Masked:
    """A value that the ledger only has as a keyed digest; equal values have equal digests."""

    digest_hex: str


@dataclass(frozen=True, slots=True)
class Cut:
    """A value too long for the ledger, which has its beginning, its length in characters and its SHA-256."""

    beginning: str
    length: int
    sha256_hex: str


# --- JSON ----------------------------------------------------------------------------------------------------------


class ExactDecoder(json.JSONDecoder):
    """Reads JSON without loss: whole numbers as int, others as Decimal. Nothing that a jsonb column holds fails it."""

    def __init__(self) -> None:
        super().__init__(parse_float=Decimal)

    def decode(self, s: str, *args: Any) -> Any:
        # How deep a parser goes differs between Pythons, so it isn't asked: few texts have as many brackets.
        text = _folded(s) if s.count("[") + s.count("{") > _DEEPEST else s
        try:
            return super().decode(text, *args)
        except ValueError:  # an int with more digits than Python will read
            return json.JSONDecoder(parse_float=Decimal, parse_int=_whole).decode(text)


_decoder = ExactDecoder()


class ExactEncoder(json.JSONEncoder):
    """Writes what ExactDecoder read as it was; for `json.dumps(…, cls=ExactEncoder)`."""

    def encode(self, o: Any) -> str:
        return dumps(o).decode()


def loads(text: str) -> Any:
    """Return the value of `text`; see ExactDecoder."""
    return _decoder.decode(text)


def dumps(value: Any) -> bytes:
    """Return `value` as JSON, with every number in all its digits; what JSON has no like of becomes a string."""
    try:
        return orjson.dumps(value, default=_fragment)
    except TypeError:  # an integer beyond 64 bits, deeper than orjson goes, a key that is no string, half a surrogate
        return "".join(_pieces(value)).encode()


def jsonb(value: Any) -> str:
    """Return `value` as JSON that a jsonb column takes: PostgreSQL's text has no NUL, so they are left out."""
    text = dumps(value).decode()
    return _NUL.sub(r"\1", text) if "\\u0000" in text else text


def _whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < 4_000 else Decimal(digits)


def _folded(text: str) -> str:
    """JSON text whose levels below _DEEPEST are strings that hold their JSON text."""
    parts, depth, kept_until, begin = [], 0, 0, 0
    for match in _BRACKET.finditer(text):
        if match[0] in ("[", "{"):
            depth += 1
            if depth == _DEEPEST + 1:
                begin = match.start()
        elif match[0] in ("]", "}"):
            if depth == _DEEPEST + 1:
                parts += [text[kept_until:begin], json.dumps(text[begin : match.end()])]
                kept_until = match.end()
            depth -= 1
    return "".join([*parts, text[kept_until:]])


def _number(value: Decimal) -> str:
    """A decimal's digits as PostgreSQL writes them; NaN and the infinities, which JSON doesn't know, as strings."""
    if not value.is_finite():
        return json.dumps(str(value))
    is_expanded = abs(value.adjusted()) + len(value.as_tuple().digits) < _MOST_EXPANDED_DIGITS
    return format(value, "f") if is_expanded else str(value)


def _fragment(value: Any) -> Any:
    return orjson.Fragment(_number(value).encode()) if isinstance(value, Decimal) else str(value)


class _Json(str):
    """Text that is JSON already."""


def _pieces(value: Any) -> list[str]:
    """The JSON of `value` in pieces, without recursion and without a bound on integers."""
    pieces: list[str] = []
    todo, depth = [value], 0
    while todo:
        item = todo.pop()
        if isinstance(item, _Json):
            pieces.append(item)
            depth -= item in ("]", "}")
        elif isinstance(item, dict):
            pieces.append("{")
            todo.append(_Json("}"))
            for place, (key, inner) in reversed(list(enumerate(item.items()))):
                todo += [inner, _Json(("," if place else "") + _text(str(key)) + ":")]
            depth += 1
        elif isinstance(item, list | tuple):
            pieces.append("[")
            todo.append(_Json("]"))
            for place, inner in reversed(list(enumerate(item))):
                todo += [inner, _Json(",")] if place else [inner]
            depth += 1
        elif isinstance(item, str):
            pieces.append(_text(item))
        elif isinstance(item, int) and not isinstance(item, bool):
            pieces.append(_number(Decimal(item)))
        else:
            pieces.append(orjson.dumps(item, default=_fragment).decode())
        if depth > _DEEPEST_WRITTEN:
            raise ValueError("A value that holds itself can't be written as JSON.")
    return pieces


def _text(text: str) -> str:
    """A string's JSON; half a surrogate pair, which is no text, becomes a question mark."""
    return orjson.dumps(text.encode(errors="replace").decode()).decode()


# --- models --------------------------------------------------------------------------------------------------------


def to_python(model: type[models.Model], field_name: str, value: Any) -> Any:
    """Return what the model's field held when the ledger recorded `value`: the same that a query would have read.

    A masked value becomes `Masked`, one that was cut `Cut`. A many-to-many field's `{"added": […], "removed": […]}`
    becomes the same with keys of the other model.

    Args:
        model: the tracked model.
        field_name: the field's name, its attribute (`author_id`), or its column, as the ledger has it.
        value: before or after, as `Event.changes` holds it.

    Raises:
        FieldDoesNotExist: the model has no such field any more.
        ValueError: the value isn't one of the field's type, which must have been another then.
    """
    field = _field(model, field_name)
    if field.many_to_many:
        far = field.remote_field.model
        return {kind: [to_python(far, far._meta.pk.name, key) for key in keys] for kind, keys in value.items()}
    if (stand_in := _stand_in(value)) is not None:
        return stand_in
    connection = connections[router.db_for_read(model)]
    column, type_name = field.cached_col, field.db_type(connection)
    if type_name in _JSON and isinstance(value, dict) and value.keys() == {"json"}:
        value = value["json"]  # JSON that the ledger would otherwise take for no value, or for a mark of its own
    try:
        held = _held(type_name, value, _transformer(settings.USE_TZ, connection.timezone))
        for convert in (*connection.ops.get_db_converters(column), *column.get_db_converters(connection)):
            held = convert(held, column, connection)
    except (ValueError, ArithmeticError, DataError) as error:
        raise ValueError(f"{model._meta.label}.{field.name} can't have held {str(value)[:100]!r}.") from error
    return held


def object_id(instance: models.Model) -> str:
    """Return the id that the ledger has for the row of `instance`: its key as text, a composite one as a JSON array."""
    keys = [_key(field.value_from_object(instance)) for field in instance._meta.pk_fields]
    if len(keys) > 1:
        return dumps(keys).decode()
    return keys[0] if isinstance(keys[0], str) else dumps(keys[0]).decode()


def _key(value: Any) -> Any:
    """A part of a key as `to_jsonb` gives it."""
    if isinstance(value, datetime):
        # Of a second's fraction, PostgreSQL writes no more digits than it has.
        begin, _, fraction = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").partition(".")
        fraction = fraction.rstrip("0")
        return f"{begin}{'.' if fraction else ''}{fraction}{'+00:00' if settings.USE_TZ else ''}"
    if isinstance(value, bytes | memoryview):
        return f"\\x{bytes(value).hex()}"
    return value if isinstance(value, bool | int | Decimal | str) else str(value)


def _field(model: type[models.Model], name: str) -> Any:
    for field in (*model._meta.local_concrete_fields, *model._meta.concrete_fields, *model._meta.many_to_many):
        if name in (field.name, field.attname, (field.column or "").strip('"').replace('""', '"')):
            return field
    raise FieldDoesNotExist(f"{model._meta.label} has no field or column named {name!r}")


def _stand_in(value: Any) -> Masked | Cut | None:
    if isinstance(value, dict):
        if value.keys() == {"masked"}:
            return Masked(value["masked"])
        if value.keys() == {"cut", "length", "sha256"}:
            return Cut(value["cut"], value["length"], value["sha256"])
    return None


def _held(type_name: str, value: Any, transformer: abc.Transformer) -> Any:
    """What psycopg would have read from a column of that type, given what `to_jsonb` made of it."""
    if value is None:
        return None
    if isinstance(value, list) and (array := _ARRAY.fullmatch(type_name)):
        return [_held(array[1], item, transformer) for item in value]
    kind = postgres.types.get(type_name.partition("(")[0])
    if kind is None:  # an extension's type, or the project's own
        return value
    if kind.name in _JSON:
        text = dumps(value).decode()
    elif isinstance(value, bool):
        text = "t" if value else "f"
    else:
        text = value if isinstance(value, str) else dumps(value).decode()
    return transformer.get_loader(kind.oid, Format.TEXT).load(text.encode())


@dataclass(frozen=True)
class _Adapting:
    """What psycopg needs of a connection in order to read values, without one."""

    adapters: adapt.AdaptersMap
    connection: None = None


@lru_cache(maxsize=8)
def _transformer(use_tz: bool, timezone: Any) -> abc.Transformer:
    return adapt.Transformer(_Adapting(get_adapters_template(use_tz, timezone)))
