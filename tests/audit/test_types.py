"""Every type that the ORM and PostgreSQL offer is in the ledger as it was, before and after each change."""

import json
import uuid
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres.search import SearchVector
from django.db import connection, models, transaction
from django.db.backends.postgresql.psycopg_any import DateRange, DateTimeTZRange, NumericRange
from django.db.models import F, JSONField, Value

from audit.values import to_python
from tests.audit.everything import models as everything
from tests.audit.everything.events import newest, same, with_types
from tests.audit.everything.models import Computed, RawTypes, Thing, Values

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 2, 12, 30, 15, 123456, tzinfo=UTC)
LONG = "Zürich 🏔 \\ \" ' % {} \n\t\x7f " * 40_000  # more than 1 MB
DEEP = json.loads('{"a":' * 100 + "[1.50]" + "}" * 100)

# Field, its value first and last, and how the ledger holds the first.
CASES: list[tuple[str, Any, Any, Any]] = [
    ("boolean", True, False, True),
    ("char", "a 'quoted' \\ ünï 100%", "", "a 'quoted' \\ ünï 100%"),
    ("text", LONG, "short", LONG),
    ("text", "\u2028\x01\x1f{}", "null", "\u2028\x01\x1f{}"),
    ("small", -32_768, 32_767, -32_768),
    ("integer", -2_147_483_648, 0, -2_147_483_648),
    ("big", 2**53 + 1, -(2**63), 9_007_199_254_740_993),
    ("positive_small", 0, 32_767, 0),
    ("positive", 0, 2_147_483_647, 0),
    ("positive_big", 2**63 - 1, 0, 9_223_372_036_854_775_807),
    (
        "decimal",
        Decimal("12345678901234567890.1234567890"),
        Decimal("-0.0000000001"),
        Decimal("12345678901234567890.1234567890"),
    ),
    ("decimal", Decimal("1.5"), Decimal("10"), Decimal("1.5000000000")),
    ("float", 0.1, 1e300, Decimal("0.1")),
    ("float", float("inf"), float("-inf"), "Infinity"),
    ("float", 5e-324, 1.7976931348623157e308, Decimal("5e-324")),
    ("date", date(1, 1, 1), date(9999, 12, 31), "0001-01-01"),
    ("time", time(23, 59, 59, 999_999), time(0), "23:59:59.999999"),
    ("moment", NOON, datetime(1, 1, 1, tzinfo=UTC), "2026-01-02T12:30:15.123456+00:00"),
    ("duration", timedelta(days=-1, microseconds=1), timedelta(days=400), "-1 days +00:00:00.000001"),
    ("uuid", uuid.UUID(int=1), uuid.UUID(int=2**128 - 1), "00000000-0000-0000-0000-000000000001"),
    ("json", {"a": [1, 2.5, None, True, {"é": "\u2028"}]}, [], {"a": [1, Decimal("2.5"), None, True, {"é": "\u2028"}]}),
    ("json", 10**40, 1e-40, 10**40),
    ("json", "text", False, "text"),
    ("json", DEEP, {}, json.loads(json.dumps(DEEP), parse_float=Decimal)),
    ("binary", b"\x00\xff\\x00'", b"", "\\x00ff5c78303027"),
    ("address", "2001:db8::1", "192.0.2.1", "2001:db8::1"),
    ("slug", "a-slug", "other", "a-slug"),
    ("url", "https://example.org/?a=%20&b=1", "http://example.org", "https://example.org/?a=%20&b=1"),
    ("email", "a@example.org", "b@example.org", "a@example.org"),
    ("file", "everything/ä b.pdf", "everything/c", "everything/ä b.pdf"),
    ("image", "everything/a.png", "", "everything/a.png"),
    ("path", "/etc/hosts", "/", "/etc/hosts"),
    ("choice", "a", "b", "a"),
    ("integers", [1, None, -3], [], [1, None, -3]),
    ("nested", [["a", 'b "c", {}'], ["NULL", ""]], [["x", "y"]], [["a", 'b "c", {}'], ["NULL", ""]]),
    ("decimals", [Decimal("0.1"), Decimal(10**19)], [], [Decimal("0.1000000000"), Decimal("1e19")]),
    ("dates", [date(2026, 1, 2)], [], ["2026-01-02"]),
    ("moments", [NOON], [], ["2026-01-02T12:30:15.123456+00:00"]),
    ("binaries", [b"\x00", b""], [], ["\\x00", "\\x"]),
    ("documents", [{"a": 1.5}, [1, [2]], "x"], [], [{"a": Decimal("1.5")}, [1, [2]], "x"]),
    ("integer_range", NumericRange(1, 5), NumericRange(None, None), "[1,5)"),
    ("big_range", NumericRange(2**53 + 1, None), NumericRange(empty=True), "[9007199254740993,)"),
    ("decimal_range", NumericRange(Decimal("0.10"), Decimal("1.5"), "(]"), NumericRange(empty=True), "(0.10,1.5]"),
    ("date_range", DateRange(date(2026, 1, 2), None), DateRange(empty=True), "[2026-01-02,)"),
    (
        "moment_range",
        DateTimeTZRange(NOON, NOON + timedelta(1)),
        DateTimeTZRange(None, NOON),
        '["2026-01-02 12:30:15.123456+00","2026-01-03 12:30:15.123456+00")',
    ),
    ("elsewhere", 1, 2, 1),
]


def read(model: type[models.Model], name: str) -> Any:
    return model._default_manager.values_list(name, flat=True).get()


@pytest.mark.parametrize(("name", "first", "last", "in_ledger"), CASES, ids=[case[0] for case in CASES])
def test_each_type_has_its_before_and_after_on_creation_change_and_deletion(
    name: str, first: Any, last: Any, in_ledger: Any
) -> None:
    column = Values._meta.get_field(name).column
    row = Values.objects.create(**{name: first})
    held_first = read(Values, name)
    created = newest()
    Values.objects.update(**{name: last})
    held_last = read(Values, name)
    updated = newest()
    Values.objects.update(**{name: last})
    assert newest() == updated  # writing the same value again is no change
    row.delete()
    deleted = newest()

    assert (created.action, updated.action, deleted.action) == tuple(
        f"everything.values.{verb}" for verb in ("created", "updated", "deleted")
    )
    assert with_types(created.changes[column]) == with_types(in_ledger)
    assert {key for key, value in created.changes.items() if value} - {"id"} <= {column}
    before, after = updated.changes.pop(column)
    assert updated.changes == {}
    assert with_types(before) == with_types(in_ledger)
    assert with_types(deleted.changes[column]) == with_types(after)
    assert same(to_python(Values, name, created.changes[column]), held_first)
    assert same(to_python(Values, column, after), held_last)


def test_every_field_of_the_model_is_among_the_cases() -> None:
    apart = {
        "id",
        "search",
        "to_integer_key",
        "to_uuid_key",
        "to_text_key",
        "to_address_key",
        "to_unique_name",
        "one_to_one",
    }
    assert {field.name for field in Values._meta.concrete_fields} - apart == {name for name, *_ in CASES}


@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES}))
def test_null_is_null_on_both_sides(name: str) -> None:
    first = next(value for field, value, *_ in CASES if field == name)
    column = Values._meta.get_field(name).column
    Values.objects.bulk_create([Values()])
    Values.objects.update(**{name: None})  # since no file is an empty name to begin with
    Values.objects.update(**{name: first})
    from_null = newest()
    Values.objects.update(**{name: None})
    to_null = newest()

    assert from_null.changes[column][0] is None
    assert to_null.changes == {column: [from_null.changes[column][1], None]}
    assert to_python(Values, name, None) is None


def test_nan_is_kept_and_equal_to_itself() -> None:
    Values.objects.create(float=float("nan"))
    created = newest()
    Values.objects.update(float=float("nan"))

    assert newest() == created
    assert created.changes["float"] == "NaN"
    assert same(to_python(Values, "float", "NaN"), float("nan"))


def test_a_search_vector_computed_by_the_database_is_recorded() -> None:
    Values.objects.create(text="the quick brown foxes")
    Values.objects.update(search=SearchVector("text", config="english"))
    before, after = newest().changes["search"]

    assert (before, after) == (None, "'brown':3 'fox':4 'quick':2")
    assert to_python(Values, "search", after) == read(Values, "search")


def test_foreign_keys_are_recorded_as_the_keys_they_are() -> None:
    thing = Thing.objects.create(name="unique ü")
    by_uuid = everything.UuidKeyed.objects.create(name="u")
    by_text = everything.TextKeyed.objects.create(code="t/1", name="t")
    by_address = everything.AddressKeyed.objects.create(address="192.0.2.1", name="a")
    place = everything.Restaurant.objects.create(name="p").place_ptr
    Values.objects.create(
        to_integer_key=thing,
        to_uuid_key=by_uuid,
        to_text_key=by_text,
        to_address_key=by_address,
        to_unique_name=thing,
        one_to_one=place,
    )
    changes = newest().changes

    held = {
        "to_integer_key": (thing.pk, thing.pk),
        "to_uuid_key": (str(by_uuid.pk), by_uuid.pk),
        "to_text_key": ("t/1", "t/1"),
        "to_address_key": ("192.0.2.1", "192.0.2.1"),
        "to_unique_name": ("unique ü", "unique ü"),
        "one_to_one": (place.pk, place.pk),
    }
    for name, (in_ledger, in_python) in held.items():
        assert with_types(changes[f"{name}_id"]) == with_types(in_ledger)
        assert same(to_python(Values, name, in_ledger), in_python)
        assert same(to_python(Values, f"{name}_id", in_ledger), in_python)


def test_what_the_database_fills_in_is_recorded_too() -> None:
    row = Computed.objects.create(price=Decimal("0.1"))
    created = newest()
    Computed.objects.update(count=F("count") + 1)
    updated = newest()

    row.refresh_from_db()
    assert created.changes["count"] == 3
    assert created.changes["total"] == Decimal("0.3")
    assert to_python(Computed, "made_at", created.changes["made_at"]) == row.made_at
    assert updated.changes == {"count": [3, 4], "total": [Decimal("0.3"), Decimal("0.4")]}
    assert same(to_python(Computed, "total", updated.changes["total"][1]), row.total)


RAW: list[tuple[str, str, str, Any]] = [
    ("plain", '{"a":  1.50}', '{"a": 1.50, "b": 2}', {"a": Decimal("1.50")}),
    ("place", "(1.5,2)", "(1,2)", "(1.5,2)"),
    ("mood", "sad", "glad", "sad"),
    ("pair", '(1,"a b")', "(2,)", {"one": 1, "other": "a b"}),
    ("percent", "99.90", "1", Decimal("99.90")),
    ("document", '{"a": [1.50]}', '"b"', {"a": [Decimal("1.50")]}),
    ("spot", "(1,2)", "(2,1)", "(1,2)"),
    ("price", "$1,234.50", "0", "$1,234.50"),
    ("flags", "101", "0", "101"),
    ("network", "192.0.2.0/24", "::/0", "192.0.2.0/24"),
    ("hardware", "08:00:2b:01:02:03", "08:00:2b:01:02:04", "08:00:2b:01:02:03"),
    ("local_at", "2026-01-02 03:04:05", "infinity", "2026-01-02T03:04:05"),
    ("zoned", "03:04:05+02", "03:04:05+01", "03:04:05+02"),
    ("spans", "{[1,3),[5,7)}", "{}", "{[1,3),[5,7)}"),
    ("system", "x", "y", "x"),
    ("padded", "ab", "c", "ab   "),
    ("kind", "raw_types", "raw_parent", "raw_types"),
]


@pytest.mark.parametrize(("column", "first", "last", "in_ledger"), RAW, ids=[case[0] for case in RAW])
def test_types_that_only_postgresql_knows_are_recorded(column: str, first: str, last: str, in_ledger: Any) -> None:
    def execute(sql: str, value: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql, [value])  # a literal without a type: PostgreSQL takes it for the column's

    execute(f'INSERT INTO raw_types (id, "{column}") VALUES (1, %s)', first)
    created = newest()
    execute(f'UPDATE raw_types SET "{column}" = %s', first)
    assert newest() == created
    execute(f'UPDATE raw_types SET "{column}" = %s', last)
    updated = newest()
    RawTypes.objects.all().delete()

    assert with_types(created.changes[column]) == with_types(in_ledger)
    assert with_types(updated.changes[column][0]) == with_types(in_ledger)
    assert with_types(newest().changes[column]) == with_types(updated.changes[column][1])


# --- JSON in JSON ----------------------------------------------------------------------------------------------------


def test_json_null_can_be_told_from_no_value() -> None:
    Values.objects.create(json=None)
    created_without = newest()
    Values.objects.update(json=Value(None, JSONField()))
    updated = newest()
    Values.objects.update(json={"a": 1})
    replaced = newest()

    assert created_without.changes["json"] is None
    before, after = updated.changes["json"]
    assert before != after
    assert replaced.changes["json"][0] == after
    assert to_python(Values, "json", before) is to_python(Values, "json", after) is None  # as Django reads both


@pytest.mark.parametrize(
    "document",
    [
        {"masked": "0123456789abcdef0123456789abcdef"},
        {"cut": "a", "length": 3, "sha256": "0" * 64},
        {"json": None},
        {"json": {"json": 1}},
        {"added": [1], "removed": []},
        [1, 2],
    ],
    ids=str,
)
def test_json_that_looks_like_the_ledgers_own_marks_is_taken_for_what_it_is(document: Any) -> None:
    Values.objects.create(json=document)
    created = newest()
    Values.objects.update(json=1)
    before, after = newest().changes["json"]

    assert to_python(Values, "json", created.changes["json"]) == document
    assert (to_python(Values, "json", before), after) == (document, 1)


# --- the session's own settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "name", "value"),
    [
        ("bytea_output = 'escape'", "binary", b"\x00\xff\\"),
        ("IntervalStyle = 'iso_8601'", "duration", timedelta(days=-1, seconds=5)),
        ("IntervalStyle = 'sql_standard'", "duration", timedelta(days=-1, seconds=5)),
        ("extra_float_digits = -15", "float", 0.1 + 0.2),
        ("DateStyle = 'SQL, DMY'", "date_range", DateRange(date(2026, 1, 2), date(2026, 12, 3))),
        ("DateStyle = 'German'", "moment_range", DateTimeTZRange(NOON, NOON + timedelta(1))),
        ("TimeZone = 'Asia/Kathmandu'", "moment", NOON),
        ("TimeZone = 'Asia/Kathmandu'", "moment_range", DateTimeTZRange(NOON, NOON + timedelta(1))),
        ("DateStyle = 'Postgres'", "dates", [date(2026, 1, 2)]),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_a_sessions_own_settings_change_nothing_of_what_is_recorded(setting: str, name: str, value: Any) -> None:
    row = Values.objects.create(**{name: value})
    held, expected = read(Values, name), newest().changes[name]
    row.delete()
    with transaction.atomic(), connection.cursor() as cursor:
        Values.objects.create()
        cursor.execute(f"SET LOCAL {setting}")
        Values.objects.update(**{name: value})
        cursor.execute(f"RESET {setting.partition(' ')[0]}")
    before, after = newest().changes[name]

    assert before is None
    assert to_python(Values, name, after) == held
    assert after == expected


def test_a_moment_is_the_same_instant_whatever_the_sessions_time_zone_is() -> None:
    row = Computed.objects.create(price=1, made_at=NOON)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL TimeZone = 'Asia/Kathmandu'; SET LOCAL DateStyle = 'German'")
        cursor.execute("UPDATE everything_computed SET made_at = made_at + interval '1 hour' WHERE id = %s", [row.pk])
        cursor.execute("RESET TimeZone; RESET DateStyle")
    before, after = newest().changes["made_at"]

    assert to_python(Computed, "made_at", before) == NOON
    assert to_python(Computed, "made_at", after) == NOON + timedelta(hours=1)


def test_a_keys_text_is_the_same_whatever_the_sessions_settings_are() -> None:
    everything.MomentKeyed.objects.create(at=NOON, name="a")
    created = newest()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL TimeZone = 'Asia/Kathmandu'; SET LOCAL DateStyle = 'German'")
        everything.MomentKeyed.objects.update(name="b")
        cursor.execute("RESET TimeZone; RESET DateStyle")

    assert newest().object_id == created.object_id
