"""Rows of every kind of table and key are events like any other, be they one or many."""

import uuid
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest
from django.db import connection, models, transaction
from django.db.models import F

import audit
from audit import values
from audit.models import Event
from tests.audit.everything.events import News, execute, thing
from tests.audit.everything.models import (
    AddressKeyed,
    LongNamed,
    MomentKeyed,
    NothingButKey,
    OddlyNamed,
    PairKeyed,
    Person,
    Pizzeria,
    Place,
    Quoted,
    RawChild,
    RawParent,
    Restaurant,
    TextKeyed,
    Thing,
    ThingAlias,
    UuidKeyed,
)

pytestmark = pytest.mark.django_db


def test_a_proxys_rows_are_recorded_once_as_those_of_its_model(news: News) -> None:
    alias = ThingAlias.objects.create(name="alias")
    ThingAlias.objects.update(number=1)
    key = alias.pk
    alias.delete()

    assert news() == [
        ("thing.created", str(key), {"id": key, **thing("alias")}),
        ("thing.updated", str(key), {"number": [0, 1]}),
        ("thing.deleted", str(key), {"id": key, **thing("alias", number=1)}),
    ]


def test_an_inheriting_models_rows_are_recorded_in_each_table_that_they_are_in(news: News) -> None:
    pizzeria = Pizzeria.objects.create(name="Da Anna", stars=1, ovens=2)
    key = pizzeria.pk
    pizzeria.stars = 2
    pizzeria.save()
    Pizzeria.objects.update(name="Da Bruno", ovens=3)
    guest = Person.objects.create(name="ann")
    pizzeria.guests.add(guest)
    happened = news()
    pizzeria.delete()

    assert happened == [
        ("place.created", str(key), {"id": key, "name": "Da Anna"}),
        ("restaurant.created", str(key), {"place_ptr_id": key, "stars": 1}),
        ("pizzeria.created", str(key), {"restaurant_ptr_id": key, "ovens": 2}),
        ("restaurant.updated", str(key), {"stars": [1, 2]}),
        *sorted(
            [
                ("place.updated", str(key), {"name": ["Da Anna", "Da Bruno"]}),
                ("pizzeria.updated", str(key), {"ovens": [2, 3]}),
            ],
            key=lambda event: [action for action, *_ in happened].index(event[0]),
        ),
        ("person.created", str(guest.pk), {"id": guest.pk, "name": "ann"}),
        ("pizzeria.updated", str(key), {"guests": {"added": [guest.pk]}}),
    ]
    assert news() == [
        ("pizzeria.updated", str(key), {"guests": {"removed": [guest.pk]}}),
        ("pizzeria.deleted", str(key), {"restaurant_ptr_id": key, "ovens": 3}),
        ("restaurant.deleted", str(key), {"place_ptr_id": key, "stars": 2}),
        ("place.deleted", str(key), {"id": key, "name": "Da Bruno"}),
    ]


def test_a_child_row_without_its_parents_is_one_event(news: News) -> None:
    place = Place.objects.create(name="here")
    news()
    restaurant = Restaurant(place_ptr=place, stars=1)
    restaurant.save_base(raw=True)
    restaurant.delete(keep_parents=True)

    assert news() == [
        ("restaurant.created", str(place.pk), {"place_ptr_id": place.pk, "stars": 1}),
        ("restaurant.deleted", str(place.pk), {"place_ptr_id": place.pk, "stars": 1}),
    ]


KEYS: list[tuple[type[models.Model], dict[str, Any], str]] = [
    (UuidKeyed, {"pk": uuid.UUID(int=7)}, "00000000-0000-0000-0000-000000000007"),
    (TextKeyed, {"pk": 'it\'s "ünïque" \\ 100%'}, 'it\'s "ünïque" \\ 100%'),
    (AddressKeyed, {"pk": "2001:db8::1"}, "2001:db8::1"),
    (AddressKeyed, {"pk": "192.0.2.7"}, "192.0.2.7"),
    (MomentKeyed, {"pk": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}, "2026-01-02T03:04:05+00:00"),
    (MomentKeyed, {"pk": datetime(2026, 1, 2, 3, 4, 5, 120_000, tzinfo=UTC)}, "2026-01-02T03:04:05.12+00:00"),
    (PairKeyed, {"tenant": 3, "code": 'a "b" é'}, '[3,"a \\"b\\" é"]'),
    (LongNamed, {"pk": 1}, "1"),
    (RawParent, {"pk": 1}, "1"),
    (OddlyNamed, {"pk": 1}, "1"),
    (Quoted, {"pk": 1}, "1"),
]


@pytest.mark.parametrize(("model", "key", "object_id"), KEYS, ids=lambda value: getattr(value, "__name__", None))
def test_every_kind_of_key_and_table_name_is_recorded(
    news: News, model: type[models.Model], key: dict[str, Any], object_id: str
) -> None:
    name = model._meta.get_field("name").column
    label = model._meta.model_name
    row = model._default_manager.create(**key, name="before")
    row.name = "after"  # type: ignore[attr-defined]
    row.save()
    row.save()
    model._default_manager.all().update(name="at last")
    assert values.object_id(row) == object_id
    audit.record(f"everything.{label}.seen", target=row)
    row.delete()

    created, updated, updated_again, seen, deleted = news()
    assert [event[:2] for event in (created, updated, updated_again, seen, deleted)] == [
        (f"{label}.{verb}", object_id) for verb in ("created", "updated", "updated", "seen", "deleted")
    ]
    column = name.strip('"').replace('""', '"')
    assert created[2][column] == "before"
    assert (updated[2], updated_again[2]) == ({column: ["before", "after"]}, {column: ["after", "at last"]})
    assert deleted[2][column] == "at last"


def test_a_row_of_nothing_but_its_key_is_recorded(news: News) -> None:
    row = NothingButKey.objects.create()
    key = row.pk
    NothingButKey.objects.filter(pk=key).update(id=F("id"))
    row.delete()

    assert news() == [
        ("nothingbutkey.created", str(key), {"id": key}),
        ("nothingbutkey.deleted", str(key), {"id": key}),
    ]


def test_a_changed_primary_key_is_a_deletion_and_a_creation(news: News) -> None:
    TextKeyed.objects.create(code="old", name="one")
    PairKeyed.objects.create(tenant=1, code="old", name="one")
    news()
    TextKeyed.objects.update(code="new", name="two")
    PairKeyed.objects.update(code="new")

    assert sorted(news()) == [
        ("pairkeyed.created", '[1,"new"]', {"tenant": 1, "code": "new", "name": "one"}),
        ("pairkeyed.deleted", '[1,"old"]', {"tenant": 1, "code": "old", "name": "one"}),
        ("textkeyed.created", "new", {"code": "new", "name": "two"}),
        ("textkeyed.deleted", "old", {"code": "old", "name": "one"}),
    ]


def test_keys_shifted_by_one_statement_are_told_by_what_each_key_now_holds(news: News) -> None:
    PairKeyed.objects.bulk_create([PairKeyed(tenant=number, code="a", name=f"{number}") for number in (1, 2)])
    news()
    rotated = "CASE tenant WHEN 1 THEN 2 ELSE 3 END"
    execute(f"DELETE FROM everything_pairkeyed WHERE tenant = 2; UPDATE everything_pairkeyed SET tenant = {rotated}")

    first, *others = [(action, changes) for action, _key, changes in news()]
    assert first == ("pairkeyed.deleted", {"tenant": 2, "code": "a", "name": "2"})
    assert sorted(others) == [
        ("pairkeyed.created", {"tenant": 2, "code": "a", "name": "1"}),
        ("pairkeyed.deleted", {"tenant": 1, "code": "a", "name": "1"}),
    ]


def test_values_swapped_between_two_rows_in_one_statement_are_two_events(news: News) -> None:
    one, two = Thing.objects.bulk_create([Thing(name="one", number=1), Thing(name="two", number=2)])
    news()
    execute("UPDATE everything_thing SET number = 3 - number")

    assert sorted(news()) == sorted(
        [("thing.updated", str(one.pk), {"number": [1, 2]}), ("thing.updated", str(two.pk), {"number": [2, 1]})]
    )


def test_a_row_changed_twice_in_one_transaction_is_two_events(news: News) -> None:
    one = Thing.objects.create(name="one")
    news()
    with transaction.atomic():
        for number in (1, 2, 1):
            Thing.objects.filter(pk=one.pk).update(number=number)

    assert [changes["number"] for *_, changes in news()] == [[0, 1], [1, 2], [2, 1]]


# --- many rows -------------------------------------------------------------------------------------------------------


def test_many_rows_after_one_row_stay_linear() -> None:
    """A plan cached for one row (a nested loop) took 12 s for 5,000; a plan for many takes a fraction of a second."""
    Thing.objects.bulk_create([Thing(name=f"{number}") for number in range(5_000)])
    for number in range(1, 8):  # PL/pgSQL settles on a generic plan after five runs
        Thing.objects.filter(name="0").update(number=number)
    before = Event.objects.count()

    backend = psutil.Process(connection.connection.info.backend_pid)
    before_seconds = backend.cpu_times().user  # whatever else the machine does
    Thing.objects.update(number=F("number") + 1)
    seconds = backend.cpu_times().user - before_seconds

    assert Event.objects.count() - before == 5_000
    assert seconds < 5


def test_a_foreign_key_cascade_over_many_rows_is_recorded_row_by_row(news: News) -> None:
    RawParent.objects.create(id=1, name="parent")
    RawChild.objects.bulk_create([RawChild(id=number, parent_id=1, name="child") for number in range(1_000)])
    news()
    execute("DELETE FROM raw_parent")

    happened = news()
    assert len(happened) == 1_001
    assert len({(action, key) for action, key, _changes in happened}) == 1_001
