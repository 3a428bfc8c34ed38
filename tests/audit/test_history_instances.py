"""Objects of the past as instances, with the values that a query would have read."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import audit
from audit.models import Event
from tests.audit.everything.models import (
    Person,
    Pizzeria,
    Place,
    Thing,
    ThingAlias,
    Values,
)
from tests.audit.histories import clock


@pytest.mark.django_db
def test_instances_have_the_values_that_a_query_would_have_read() -> None:
    row = Values.objects.create(
        decimal=Decimal("1.50"),
        moment=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        duration=timedelta(days=1, seconds=2),
        json={"json": [None, 1.5, "x"]},
        binary=b"\x00\xff",
        integers=[1, None],
        file="a/b.txt",
    )
    row.refresh_from_db()
    at = clock()
    Values.objects.update(decimal=2, json=None, integers=[])

    then = audit.as_of(Values, at).get(pk=str(row.pk))

    for one in Values._meta.concrete_fields:
        mine, other = getattr(then, one.attname), getattr(row, one.attname)
        assert (bytes(mine), bytes(other))[0] == bytes(other) if one.name == "binary" else mine == other, one.name
    assert then.audit_unknown == {}
    assert then._state.adding


@pytest.mark.django_db
def test_an_inheriting_models_instance_is_merged_from_all_its_tables() -> None:
    ann, bob = Person.objects.create(name="ann"), Person.objects.create(name="bob")
    pizzeria = Pizzeria.objects.create(name="Da Anna", stars=1, ovens=2)
    pizzeria.guests.set([ann])
    at = clock()
    Place.objects.update(name="Da Bruno")
    pizzeria.guests.set([bob])
    key = pizzeria.pk
    pizzeria.delete()

    (then,) = audit.as_of(Pizzeria, at)

    assert (then.pk, then.name, then.stars, then.ovens) == (key, "Da Anna", 1, 2)
    assert then.audit_many_to_many == {"guests": [ann.pk]}
    assert audit.as_of(Place, at).get(pk=key).name == "Da Anna"
    assert list(audit.as_of(Pizzeria, clock())) == []


@pytest.mark.django_db
def test_all_that_existed_is_iterated_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.history.instances._BATCH", 3)
    Thing.objects.bulk_create([Thing(name=f"{number}") for number in range(10)])
    at = clock()
    Thing.objects.filter(name__in=["1", "2"]).delete()
    Thing.objects.create(name="later")

    assert sorted(thing.name for thing in audit.as_of(Thing, at)) == [f"{number}" for number in range(10)]
    assert audit.as_of(ThingAlias, at).count() == 10
    assert isinstance(next(iter(audit.as_of(ThingAlias, at))), ThingAlias)
    assert audit.as_of(Thing, clock()).count() == 9
    with pytest.raises(Thing.DoesNotExist):
        audit.as_of(Thing, at).get(pk="no number")


def test_only_tracked_models_and_times_with_an_offset_are_asked() -> None:
    with pytest.raises(ValueError, match="isn't tracked"):
        audit.as_of(Event, datetime.now(UTC))
    with pytest.raises(ValueError, match="offset"):
        audit.as_of(Thing, datetime(2026, 1, 1))  # noqa: DTZ001
