"""An object is brought back to what it was, and never over what somebody else has written."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from audit import registry, values
from audit.errors import RestoreError, RowChangedError
from audit.history import restoring
from audit.models import Event
from tests.audit.everything.models import (
    Computed,
    Masked,
    PairKeyed,
    Part,
    Person,
    Pizzeria,
    Place,
    RawChild,
    RawParent,
    Restaurant,
    Tag,
    TextKeyed,
    Thing,
    Values,
)
from tests.audit.histories import TAG, THING, clock, column, deleted


def restored(row: Any, at: datetime) -> restoring.Plan:
    """Plan and do it, and return the plan."""
    plan = restoring.plan(row._meta.label_lower, values.object_id(row), at)
    restoring.apply(plan, "a test")
    return plan


def problems_of(row: Any, at: datetime) -> dict[str, list[str]]:
    with pytest.raises(RestoreError) as refused:
        restored(row, at)
    return refused.value.problems


# --- plan and writing ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_plan_says_what_would_change_and_writes_nothing() -> None:
    thing = Thing.objects.create(name="a", number=1)
    at = clock()
    Thing.objects.update(number=2, note="x")
    count = Event.objects.count()

    plan = restoring.plan(THING, str(thing.pk), at)

    assert (plan.action, plan.changes, plan.skipped) == ("update", {"number": [2, 1], "note": ["x", ""]}, {})
    assert Event.objects.count() == count
    assert restoring.plan(THING, str(thing.pk), clock()).action == "nothing"


@pytest.mark.django_db
def test_a_changed_row_is_restored_with_its_reason_and_recorded() -> None:
    thing = Thing.objects.create(name="a", number=1)
    at = clock()
    Thing.objects.update(number=2, note="x")
    plan = restoring.plan(THING, str(thing.pk), at)

    event_id = restoring.apply(plan, "  defaced  ")

    thing.refresh_from_db()
    assert (thing.number, thing.note) == (1, "")
    updated, done = Event.objects.filter(object_type=THING, object_id=str(thing.pk)).order_by("id")[2:]
    assert (updated.changes, updated.context["reason"]) == ({"number": [2, 1], "note": ["x", ""]}, "defaced")
    assert (done.pk, done.action, done.context["reason"]) == (event_id, "everything.thing.restored", "defaced")
    assert done.changes == {
        "at": at.isoformat(),
        "version": plan.version,
        "fields": ["note", "number"],
        "not_restored": [],
    }
    assert restoring.apply(restoring.plan(THING, str(thing.pk), at), "again") is None


@pytest.mark.django_db
def test_a_deleted_row_is_created_again_with_its_key_and_links() -> None:
    one, two = (Thing.objects.create(name=name) for name in "ab")
    tag = Tag.objects.create(name="red")
    tag.things.set([one, two])
    at = clock()
    tag.things.remove(one)
    deleted(tag)

    plan = restored(tag, at)

    again = Tag.objects.get(pk=tag.pk)
    assert plan.action == "create"
    assert plan.changes["things"] == [None, [one.pk, two.pk]]
    assert (again.name, set(again.things.all())) == ("red", {one, two})


@pytest.mark.django_db
def test_many_to_many_fields_alone_are_restored_too() -> None:
    one, two = (Thing.objects.create(name=name) for name in "ab")
    tag = Tag.objects.create(name="red")
    tag.things.set([one])
    at = clock()
    tag.things.set([two])

    plan = restored(tag, at)

    assert plan.changes == {"things": [[two.pk], [one.pk]]}
    assert list(tag.things.all()) == [one]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "row",
    [TextKeyed(code="a/b", name="a"), PairKeyed(tenant=3, code="a/b", name="a"), RawParent(id=1, name="a")],
    ids=lambda row: type(row).__name__,
)
def test_rows_of_any_key_are_restored(row: Any) -> None:
    row.save(force_insert=True)
    at = clock()
    type(row).objects.update(name="b")
    restored(row, at)
    assert type(row).objects.get(pk=row.pk).name == "a"
    restored(deleted(row), at)
    assert type(row).objects.get(pk=row.pk).name == "a"


@pytest.mark.django_db
def test_an_inheriting_object_is_restored_in_all_its_tables() -> None:
    ann = Person.objects.create(name="ann")
    pizzeria = Pizzeria.objects.create(name="Da Anna", stars=1, ovens=2)
    pizzeria.guests.set([ann])
    at = clock()
    Pizzeria.objects.update(name="Da Bruno", ovens=3)
    plan = restored(pizzeria, at)
    assert plan.changes == {"name": ["Da Bruno", "Da Anna"], "ovens": [3, 2]}

    restored(deleted(pizzeria), at)

    again = Pizzeria.objects.get()
    assert (again.pk, again.name, again.stars, again.ovens) == (pizzeria.pk, "Da Anna", 1, 2)
    assert list(again.guests.all()) == [ann]
    assert restoring.types_of("everything.pizzeria") == [
        f"everything.{one}" for one in ("pizzeria", "restaurant", "place")
    ]


@pytest.mark.django_db
def test_a_row_whose_parent_row_stayed_is_restored_beside_it() -> None:
    restaurant = Restaurant.objects.create(name="Da Anna", stars=1)
    at = clock()
    Place.objects.update(name="Da Bruno")
    key = restaurant.pk
    restaurant.delete(keep_parents=True)

    plan = restoring.plan("everything.restaurant", str(key), at)
    restoring.apply(plan, "a test")

    assert (plan.action, plan.changes["name"]) == ("create", ["Da Bruno", "Da Anna"])
    assert Restaurant.objects.get(pk=key).name == "Da Anna"


@pytest.mark.django_db
def test_values_of_every_type_come_back_exactly() -> None:
    row = Values.objects.create(decimal=Decimal("1.5"), json={"json": [1.10]}, binary=b"\x00", integers=[1], text="")
    row.refresh_from_db()
    at = clock()
    Values.objects.update(decimal=None, json=None, binary=None, integers=None, text="x")

    restored(row, at)

    again = Values.objects.get()
    assert (again.decimal, again.json, bytes(again.binary), again.integers, again.text) == (
        row.decimal,
        row.json,
        b"\x00",
        [1],
        "",
    )
    restored(deleted(again), at)
    assert Values.objects.get().json == row.json


# --- what can't be restored ----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_masked_and_excluded_fields_stay_as_they_are() -> None:
    row = Masked.objects.create(name="a", secret={"pin": 1}, noise="hum")
    at = clock()
    Masked.objects.update(name="b", secret={"pin": 2}, noise="ho")

    plan = restored(row, at)

    row.refresh_from_db()
    assert (row.name, row.secret, row.noise) == ("a", {"pin": 2}, "ho")
    assert plan.changes == {"name": ["b", "a"]}
    assert plan.skipped.keys() == {"secret", "noise"}
    assert "pin" not in json.dumps([plan.changes, plan.skipped, plan.fingerprint])
    assert restored(deleted(row), at).action == "create"
    assert Masked.objects.get().secret is None


@pytest.mark.django_db
def test_what_a_model_makes_of_its_other_fields_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def hum(row: Masked) -> None:
        if row.name == "silent":
            raise ValidationError({"name": "Nothing hums by that name."})
        row.noise = f"{row.name} hums"

    monkeypatch.setattr(registry, "_derived", {})
    registry.derives("everything.Masked", "noise")(hum)
    row = Masked.objects.create(name="silent", noise="")
    silent = clock()
    Masked.objects.update(name="a", noise="a hums")
    at = clock()
    Masked.objects.update(name="b", noise="b hums")

    plan = restored(row, at)

    assert "noise" not in plan.changes
    assert plan.skipped["noise"] == "It's made anew of the other fields."
    assert Masked.objects.get().noise == "a hums"
    assert problems_of(row, silent) == {"name": ["Nothing hums by that name."]}
    assert restored(deleted(row), at).action == "create"
    assert Masked.objects.get().noise == "a hums"


@pytest.mark.django_db
def test_a_change_of_a_masked_value_alone_is_a_change_since_the_plan() -> None:
    row = Masked.objects.create(name="a", secret={"pin": 1})
    at = clock()
    Masked.objects.update(name="b")
    plan = restoring.plan("everything.masked", str(row.pk), at)
    Masked.objects.update(secret={"pin": 2})

    with pytest.raises(RowChangedError):
        restoring.apply(plan, "a test")


@pytest.mark.django_db
def test_generated_columns_and_times_of_saving_are_left_to_those_who_set_them() -> None:
    row = Computed.objects.create(price=Decimal(2))
    row.refresh_from_db()
    at = clock()
    row.price = Decimal(3)
    row.save()

    plan = restored(row, at)

    assert plan.changes.keys() == {"price"}
    assert plan.skipped.keys() == {"total", "changed_at"}
    again = Computed.objects.get()
    assert again.total == 6
    assert again.changed_at > row.changed_at
    assert restored(deleted(again), at).action == "create"
    assert (Computed.objects.get().made_at, Computed.objects.get().total) == (row.made_at, 6)


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_cut_values_and_columns_without_a_field_are_named(owner_connection: psycopg.Connection[Any]) -> None:
    thing = Thing.objects.create(name="a", note="long" * 600_000)
    at = clock()
    assert restoring.plan(THING, str(thing.pk), at).skipped == {}  # what was cut is still the same
    Thing.objects.update(note="")
    owner_connection.execute("UPDATE everything_thing SET number = 7")

    plan = restoring.plan(THING, str(thing.pk), at)

    assert (plan.changes, list(plan.skipped)) == ({"number": [7, 0]}, ["note"])
    RawParent.objects.create(id=1, name="a")
    with column(owner_connection, "raw_parent", "stars integer DEFAULT 5"):
        owner_connection.execute("UPDATE raw_parent SET stars = 6")
        at = clock()
        owner_connection.execute("UPDATE raw_parent SET stars = 7")
        assert restoring.plan("everything.rawparent", "1", at).skipped == {"stars": "The model has no such field."}


# --- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_reference_to_what_is_gone_is_refused_by_its_field() -> None:
    thing = Thing.objects.create(name="a")
    part = Part.objects.create(thing=thing, name="p")
    tag = Tag.objects.create(name="red")
    tag.things.add(thing)
    RawParent.objects.create(id=1, name="parent")
    child = RawChild.objects.create(id=1, parent_id=1, name="child")
    at = clock()
    key = part.pk
    thing.delete()
    part.pk = key
    RawParent.objects.all()._raw_delete("default")

    assert list(problems_of(part, at)) == ["thing"]
    assert list(problems_of(tag, at)) == ["things"]
    assert list(problems_of(child, at)) == ["parent"]
    assert not Part.objects.exists()
    assert not Event.objects.filter(action="everything.part.restored").exists()


@pytest.mark.django_db
def test_what_the_database_alone_refuses_names_its_column() -> None:
    """`name` is another row's now; validation is told so by the ORM, and the database where that looks away."""
    thing = Thing.objects.create(name="a")
    at = clock()
    Thing.objects.update(name="b")
    Thing.objects.create(name="a")

    assert list(problems_of(thing, at)) == ["name"]
    plan = restoring.plan(THING, str(thing.pk), at)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Thing, "full_clean", lambda self, exclude: None)
        with pytest.raises(RestoreError) as refused:
            restoring.apply(plan, "a test")
    assert refused.value.problems == {"name": ["Another row has this value now."]}


@pytest.mark.django_db
def test_a_row_that_changed_since_the_plan_is_left_alone() -> None:
    thing = Thing.objects.create(name="a")
    tag = Tag.objects.create(name="red")
    at = clock()
    Thing.objects.update(number=1)
    Tag.objects.update(name="blue")
    plans = [restoring.plan(THING, str(thing.pk), at), restoring.plan(TAG, str(tag.pk), at)]
    Thing.objects.update(number=2)
    tag.things.add(thing)
    gone = restoring.plan(THING, str(thing.pk), at)
    tag.things.clear()
    Thing.objects.all().delete()
    tag.things.create(name="new")

    for plan in (*plans, gone):
        with pytest.raises(RowChangedError):
            restoring.apply(plan, "a test")
    assert Tag.objects.get().name == "blue"


@pytest.mark.django_db
@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_a_reason_is_needed(reason: str) -> None:
    thing = Thing.objects.create(name="a")
    with pytest.raises(RestoreError, match="reason"):
        restoring.apply(restoring.plan(THING, str(thing.pk), clock()), reason)


@pytest.mark.django_db
def test_what_didnt_exist_and_what_is_to_come_cant_be_restored() -> None:
    before = clock()
    thing = Thing.objects.create(name="a")

    assert list(problems_of(thing, before)) == ["at"]
    assert list(problems_of(thing, datetime.fromisoformat("2200-01-01T00:00:00Z"))) == ["at"]
    with pytest.raises(RestoreError, match="no tracked model"):
        restoring.plan("audit.event", "1", before)


@pytest.mark.django_db(transaction=True)
def test_the_row_is_locked_while_it_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    thing = Thing.objects.create(name="a")
    at = clock()
    Thing.objects.update(number=1)
    plan = restoring.plan(THING, str(thing.pk), at)
    write = restoring._write

    def others_wait(*args: Any) -> None:
        parameters = connection.get_connection_params() | {"cursor_factory": None, "context": None}
        with psycopg.connect(**parameters) as other, pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("SELECT FROM everything_thing WHERE id = %s FOR NO KEY UPDATE NOWAIT", [thing.pk])
        write(*args)

    monkeypatch.setattr(restoring, "_write", others_wait)

    assert restoring.apply(plan, "a test")
