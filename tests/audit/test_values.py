"""Values have every digit wherever the ledger tells them, and can be had back as a model's field held them."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import connection, connections, transaction
from django.db.backends.postgresql.psycopg_any import NumericRange
from django.test import Client, override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

import audit
from audit import install, values
from audit.echo import Change
from audit.models import Event
from audit.signals import model_changed
from audit.values import Cut, Masked, to_python
from telemetry.context import Actor, Context, use
from tests.audit.everything import models as everything
from tests.audit.everything.events import log_in_auditor, newest, same, with_types
from tests.audit.everything.models import Tag, Thing, Values

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 1, 2, 12, 30, 15, 123456, tzinfo=UTC)
DEEP = json.loads('{"a":' * 100 + "[1.50]" + "}" * 100)

# --- where values are told -----------------------------------------------------------------------------------------


def test_the_api_gives_values_as_they_were_with_every_digit(client: Client) -> None:
    Values.objects.create(
        decimal=Decimal("12345678901234567890.1234567890"),
        big=2**63 - 1,
        float=0.1,
        boolean=False,
        json={"big": 10**40, "small": 1e-7, "list": [None, 1.25]},
        decimals=[Decimal("0.1")],
        integers=[1, None],
        date=date(2026, 1, 2),
    )
    event = newest()
    log_in_auditor(client)

    listed = client.get("/api/audit/events/", {"object_type": "everything.values"})
    single = client.get(f"/api/audit/events/{event.pk}/")

    assert b'"decimal":[null,12345678901234567890.1234567890]' in listed.content
    assert b'"big":[null,9223372036854775807]' in listed.content
    assert b'"decimals":[null,[0.1000000000]]' in listed.content
    assert b"10000000000000000000000000000000000000000" in listed.content
    assert listed["Content-Type"] == "application/json"
    (from_list,) = json.loads(listed.content, parse_float=Decimal)["results"]
    from_detail = json.loads(single.content, parse_float=Decimal)
    assert with_types(from_list["changes"]) == with_types(event.differences) == with_types(from_detail["changes"])


def test_the_api_tells_all_that_an_event_which_is_no_row_holds(client: Client) -> None:
    told = {"filters": {"actor": "77"}, "events": 3, "ids": [1, 2], "added": None}
    event = Event.objects.get(pk=audit.record("reports.export.made", changes=told))
    log_in_auditor(client)

    answer = client.get(f"/api/audit/events/{event.pk}/").json()

    assert answer["changes"] == {name: [None, value] for name, value in told.items()}


def test_many_to_many_changes_are_what_went_and_what_came(client: Client) -> None:
    one, two = Thing.objects.bulk_create([Thing(name="one"), Thing(name="two")])
    tag = Tag.objects.create(name="tag")
    tag.things.add(one, two)
    added = newest()
    tag.things.remove(one)
    removed = newest()

    assert added.differences == {"things": [None, [one.pk, two.pk]]}
    assert removed.differences == {"things": [[one.pk], None]}
    assert to_python(Tag, "things", added.changes["things"]) == {"added": [one.pk, two.pk]}


@pytest.mark.django_db(transaction=True)
def test_the_application_is_told_the_same_values_as_the_ledger_holds() -> None:
    told: list[Change] = []

    def hear(sender: Any, change: Change, **kwargs: Any) -> None:
        told.append(change)

    model_changed.connect(hear)
    try:
        Values.objects.create(decimal=Decimal("12345678901234567890.1234567890"), json={"big": 10**40, "deep": DEEP})
    finally:
        model_changed.disconnect(hear)

    (change,) = told
    assert with_types(change.changes) == with_types(newest().changes)


def test_what_is_recorded_without_a_row_is_exact_too() -> None:
    changes = {"amount": Decimal("0.10"), "big": 10**40, "ratio": 0.5, "day": date(2026, 1, 2), "text": "a\0b"}
    event = Event.objects.get(pk=audit.record("reports.export.made", changes=changes))

    assert with_types(event.changes) == with_types(
        {"amount": Decimal("0.10"), "big": 10**40, "ratio": Decimal("0.5"), "day": "2026-01-02", "text": "ab"}
    )


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "a\0b", "\\\0", "\ud800", "\x1f", "'\\"], ids=ascii)
def test_no_text_from_outside_keeps_an_event_from_being_written(text: str) -> None:
    """Escapes that look like a NUL, and real ones, as a header or a form may hold them."""
    with audit.reason(text), use(Context(user_agent=text, actor_source=Actor("user", text, text))):
        event = Event.objects.get(pk=audit.record("reports.export.made", changes={"text": text, text: 1}))
        Thing.objects.create(name="one")

    kept = text.replace("\0", "").encode(errors="replace").decode()
    assert event.changes == {"text": kept, kept: 1}
    assert newest().context["agent"] == kept


def test_the_ledger_can_be_searched_by_exact_values() -> None:
    Values.objects.create(decimal=Decimal("12345678901234567890.1234567890"))
    Values.objects.create(decimal=Decimal("12345678901234567890.1234567891"))

    assert Event.objects.filter(changes__decimal=Decimal("12345678901234567890.123456789")).count() == 1


NUMBERS = {"more digits than Python reads": "1" * 5_000, "a large exponent": "1e5000", "a small exponent": "1e-5000"}
DEEP_DOCUMENTS = {
    "arrays": ("[" * 3_000 + "1.50" + "]" * 3_000),
    "objects": ('{"[a": ' * 3_000 + '"]}[{"' + "}" * 3_000),
    "both, many times": "[" + ", ".join(['{"a": ' * 1_500 + "[[1.50]]" + "}" * 1_500] * 3) + "]",
}


def insert_json(document: str) -> str:
    """Insert as somebody's SQL would, and return how PostgreSQL writes it."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO everything_values (json) VALUES (%s::jsonb) RETURNING json::text", [document])
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize("document", NUMBERS.values(), ids=NUMBERS.keys())
def test_a_number_of_thousands_of_digits_is_told_with_all_of_them(client: Client, document: str) -> None:
    text = insert_json(document)
    log_in_auditor(client)

    answer = client.get("/api/audit/events/", {"object_type": "everything.values"})

    assert f'"json":[null,{text}]' in answer.content.decode()
    assert client.get("/audit/", {"object_type": "everything.values"}).status_code == 200


@pytest.mark.parametrize("document", DEEP_DOCUMENTS.values(), ids=DEEP_DOCUMENTS.keys())
def test_json_too_deep_for_its_readers_is_told_as_text_below_a_depth(client: Client, document: str) -> None:
    def innermost(value: Any) -> str:
        while isinstance(value, dict | list):
            (value, *_) = value.values() if isinstance(value, dict) else value
        return str(value)

    text = insert_json(document)
    log_in_auditor(client)

    answer = client.get("/api/audit/events/", {"object_type": "everything.values"})

    (event,) = answer.json()["results"]
    folded = innermost(event["changes"]["json"][1])
    assert len(folded) > 2_500
    assert folded in text
    assert client.get("/audit/", {"object_type": "everything.values"}).status_code == 200


# --- long values -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_limit() -> Iterator[int]:
    """Install the captures with a limit of 5,000 bytes a value, for one test."""
    with override_settings(AUDIT_VALUE_LIMIT_BYTES=5_000):
        assert connections["owner"].in_atomic_block  # so that it's undone with the test
        install.install("owner")
        yield 5_000
    connections["owner"].close()


@pytest.mark.django_db(databases=["default", "owner"])
def test_a_value_over_the_limit_is_cut_and_its_length_and_digest_are_kept(small_limit: int) -> None:
    here, there = Values.objects.using("owner"), Event.objects.using("owner")
    first, second, third = "é" * 2_501, "ab" * 5_000, "x" * small_limit
    row = here.create(text=first, char="as it was", integers=list(range(10)))
    created = there.latest("id").changes
    here.update(text=second)
    before, after = there.latest("id").changes["text"]
    here.update(text=third)
    fits = there.latest("id").changes["text"][1]
    here.filter(pk=row.pk).update(text=second)
    row.delete()
    deleted = there.latest("id").changes

    def cut(text: str) -> dict[str, Any]:
        return {"cut": text[:1_000], "length": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}

    assert (created["text"], created["char"], created["integers"]) == (cut(first), "as it was", list(range(10)))
    assert (before, after, deleted["text"]) == (cut(first), cut(second), cut(second))
    assert fits == third
    held = to_python(Values, "text", after)
    assert held == Cut(second[:1_000], len(second), hashlib.sha256(second.encode()).hexdigest())


@pytest.mark.django_db(databases=["default", "owner"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("json", [{"number": number} for number in range(2_000)]),
        ("json", {f"key {number}": number for number in range(2_000)}),
        ("json", {"k" * 10_000: 1}),
        ("json", ["x" * 10_000]),
        ("integers", list(range(5_000))),
        ("binary", bytes(10_000)),
        ("nested", [["x" * 100, "y"]] * 100),
    ],
    ids=["many objects", "many keys", "a long key", "a long text", "array", "bytes", "nested array"],
)
def test_a_long_value_of_any_type_is_cut_as_a_whole(small_limit: int, name: str, value: Any) -> None:
    here, there = Values.objects.using("owner"), Event.objects.using("owner")
    here.create(**{name: value})
    with connections["owner"].cursor() as cursor:
        cursor.execute(f"SELECT to_jsonb(v.{name}) #>> '{{}}' FROM everything_values v")
        (text,) = cursor.fetchone()
    created = there.latest("id").changes

    assert created[name] == {
        "cut": text[:1_000],
        "length": len(text),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    assert isinstance(to_python(Values, name, created[name]), Cut)


@pytest.mark.django_db(databases=["default", "owner"])
def test_a_change_beyond_where_a_value_is_cut_shows_in_its_digest(small_limit: int) -> None:
    here, there = Values.objects.using("owner"), Event.objects.using("owner")
    here.create(text="x" * 10_000 + "a")
    here.update(text="x" * 10_000 + "b")
    before, after = there.latest("id").changes["text"]

    assert before["cut"] == after["cut"]
    assert before["sha256"] != after["sha256"]


# --- back to Python --------------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=100)
moments = st.datetimes(max_value=datetime(9998, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - given with it
dates = st.dates(max_value=date(9998, 1, 1))
decimals = st.decimals(-(10**19), 10**19, places=10)
documents = st.recursive(
    st.none()
    | st.booleans()
    | texts
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def ranges(bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Ranges of any kind: with and without ends, with ends in and out, empty."""
    ordered = st.tuples(bounds, bounds).map(sorted)
    half = bounds.map(lambda end: [end, None]) | bounds.map(lambda end: [None, end])
    kinds = st.sampled_from(["[]", "[)", "(]", "()"])
    return st.builds(
        lambda ends, kind: NumericRange(*ends, kind), ordered | half | st.just([None, None]), kinds
    ) | st.just(NumericRange(empty=True))


STRATEGIES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "char": texts,
    "text": texts,
    "small": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "big": st.integers(-(2**63), 2**63 - 1),
    "decimal": decimals,
    "float": st.floats(),
    "date": dates,
    "time": st.times(),
    "moment": moments,
    "duration": st.timedeltas(),
    "uuid": st.uuids(),
    "json": documents,
    "binary": st.binary(max_size=50),
    "address": st.ip_addresses().map(str),
    "file": texts,
    "integers": st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=4),
    "nested": st.lists(st.tuples(texts, texts).map(list), max_size=3),
    "decimals": st.lists(decimals, max_size=3),
    "dates": st.lists(dates, max_size=3),
    "moments": st.lists(moments, max_size=3),
    "binaries": st.lists(st.binary(max_size=10), max_size=3),
    "documents": st.lists(documents.filter(lambda document: document is not None), max_size=3),
    "integer_range": ranges(st.integers(-(2**31), 2**31 - 2)),
    "big_range": ranges(st.integers(-(2**63), 2**63 - 2)),
    "decimal_range": ranges(decimals),
    "date_range": ranges(dates),
    "moment_range": ranges(moments),
}


@settings(max_examples=150)
@given(st.fixed_dictionaries({name: st.none() | strategy for name, strategy in STRATEGIES.items()}))
def test_every_value_comes_back_from_the_ledger_as_a_query_reads_it(row: dict[str, Any]) -> None:
    with transaction.atomic():
        created_row = Values.objects.create(**row)
        held = Values.objects.filter(pk=created_row.pk).values().get()
        created = newest()
        Values.objects.filter(pk=created_row.pk).update(**dict.fromkeys(row))
        updated = newest()
        transaction.set_rollback(True)

    for name in row:
        value = created.changes[name]
        assert same(to_python(Values, name, value), held[name]), name
        if held[name] is not None:
            assert with_types(updated.changes[name]) == with_types([value, None])
        assert with_types(values.loads(values.dumps(value).decode())) == with_types(value)


def test_what_the_field_of_today_cant_have_held_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"everything\.Values\.integer can't have held 'a text'"):
        to_python(Values, "integer", "a text")
    with pytest.raises(FieldDoesNotExist, match="dropped"):
        to_python(Values, "dropped", 1)


def test_a_masked_value_comes_back_as_its_digest() -> None:
    everything.Masked.objects.create(name="a", secret={"pin": 1234}, noise="x")
    changes = newest().changes

    held = to_python(everything.Masked, "secret", changes["secret"])
    assert isinstance(held, Masked)
    assert held.digest_hex == changes["secret"]["masked"]
    assert "noise" not in changes


def test_json_is_written_exactly_whatever_its_size_and_depth() -> None:
    text = '{"a":[12345678901234567890.1234567890,1' + "0" * 50 + ',-0.0000001000,true,null,"é\\"\\u0001"]}'
    deep = "[" * 900 + "1.50" + "]" * 900

    assert values.dumps(values.loads(text)).decode() == text
    assert json.dumps(values.loads(text), cls=values.ExactEncoder) == text
    assert values.dumps({"d": Decimal("NaN"), "big": 2**64, "moment": NOON, "other": uuid.UUID(int=1)}) == (
        b'{"d":"NaN","big":18446744073709551616,"moment":"2026-01-02T12:30:15.123456+00:00",'
        b'"other":"00000000-0000-0000-0000-000000000001"}'
    )
    assert values.loads(values.dumps(values.loads(deep)).decode()) == values.loads(deep)
    assert values.dumps(json.loads(deep, parse_float=Decimal)).decode() == deep
    assert values.jsonb({"a": "\0\0b\\\0\\u0000", 7: 2**64}) == '{"a":"b\\\\\\\\u0000","7":18446744073709551616}'
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="holds itself"):
        values.dumps(endless)
